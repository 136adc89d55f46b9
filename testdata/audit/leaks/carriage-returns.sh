# expect: secret-data 3:45
true
qemu-system-x86_64 -object secret,id=s,data=letmein \
  -m 1G
