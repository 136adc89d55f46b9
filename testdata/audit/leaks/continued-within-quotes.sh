# expect: secret-data 3:6
qemu-system-x86_64 -object "secret,id=s,\
data=letmein"
