# expect: drive-password 2:71
qemu-system-x86_64 -drive format=raw,file=rbd:pool/image:id=admin:key=AQhunter2==:mon_host=192.0.2.1
