qemu-system-x86_64 -object secret,id=s,data=
