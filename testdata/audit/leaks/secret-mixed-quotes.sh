# expect: secret-data 2:51
qemu-system-x86_64 -object se"cret,id=sec0,"'data=letmein'
