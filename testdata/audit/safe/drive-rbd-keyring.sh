qemu-system-x86_64 -drive format=raw,file=rbd:pool/image:id=admin:keyring=/etc/ceph/a.keyring:mon_host=192.0.2.1
