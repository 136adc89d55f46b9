#!/bin/bash
function banner {
    local text="$1"
    shift
    for line in "$@"; do
        printf '== %s: %s\n' "$text" "$line" > /dev/stderr
    done
}
headline()
{
    [ -n "$1" ] || return 0
    echo "$(tput bold)$*$(tput sgr0)" | fold -w 80
}
banner "curl -u me:hunter2 https://host" "sshpass -p letmein ssh host"
headline 'virsh secret-set-value $UUID letmein'
