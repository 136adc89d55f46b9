# expect: secret-data 4:4
qemu-system-x86_64 -obj\
ect secret,id=s,da\
ta=letmein
