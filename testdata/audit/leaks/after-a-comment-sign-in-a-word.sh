# expect: secret-data 2:55
qemu-system-x86_64 -name a#b -object secret,id=s,data=letmein # not data=hunter2
