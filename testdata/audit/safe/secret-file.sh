qemu-system-x86_64 -object secret,id=sec0,file=passwd.txt,format=raw -drive file=a.luks,key-secret=sec0
