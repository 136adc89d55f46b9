# expect: secret-data 2:59
qemu-storage-daemon --object qom-type=secret,id=sec0,data=letmein
