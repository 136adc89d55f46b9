# expect: secret-data 2:60
qemu-system-x86_64 -name grüße-日本 -object secret,id=s,data=letmein
