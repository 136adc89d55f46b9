qemu-system-x86_64 -vnc :1,password -vnc :2,password=on -vnc :3,password-secret=s
