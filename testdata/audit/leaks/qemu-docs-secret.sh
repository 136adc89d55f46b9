# expect: secret-data 2:48
qemu-system-x86_64 -object secret,id=sec0,data=letmein,format=raw
