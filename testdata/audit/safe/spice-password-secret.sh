qemu-system-x86_64 -object secret,id=s,file=f -spice port=5930,password-secret=s
