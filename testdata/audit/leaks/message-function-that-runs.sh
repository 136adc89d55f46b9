# expect: secret-data 7:35
# expect: secret-data 8:44
log() {
    echo "+ $*" >&2
    "$@"
}
log qemu -object secret,id=s,data=letmein
warn "$(qemu-img --object secret,id=s,data=letmein x)"
