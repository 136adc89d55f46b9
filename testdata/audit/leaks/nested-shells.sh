# expect: secret-data 2:59
ssh a "ssh b 'qemu-system-x86_64 -object secret,id=s,data=letmein'"
