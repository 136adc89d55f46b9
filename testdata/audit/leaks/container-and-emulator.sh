# expect: secret-data 2:62
docker run image qemu-system-x86_64 -object secret,id=s,data=letmein
