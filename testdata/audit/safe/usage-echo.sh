usage() {
    echo "usage: $0 -object secret,id=sec0,data=letmein"
    printf '%s\n' "or: curl -u me:hunter2 https://host" >&2
}
[ $# -gt 0 ] || { echo "-smbios type=11,value=io.systemd.credential:a=letmein"; exit 2; }
