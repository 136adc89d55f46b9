# expect: secret-data 9:30
# expect: sshpass 10:20
add() { echo "$@" >> start-vm.sh; }
remote() {
    local line="$*"
    printf '%s\n' "$line" | ssh host sh
}
add '#!/bin/sh'
add -object secret,id=s,data=letmein
remote "sshpass -p letmein ssh other"
