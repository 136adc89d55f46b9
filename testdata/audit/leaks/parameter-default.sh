# expect: secret-data 3:49
# expect: secret-data 4:53
: "${ARGUMENTS:=-m 512 -object secret,id=s,data=letmein}"
qemu-system-x86_64 ${MORE:--object secret,id=s,data=letmein}
