qemu-system-x86_64 -object secret,id=s,file=f -drive driver=https,url=https://host/a,username=me,password-secret=s
