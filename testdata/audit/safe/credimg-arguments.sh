qemu-system-x86_64 -drive if=none,id=credimg-chimera,file=out.erofs,format=raw,read-only=on -device virtio-blk,drive=credimg-chimera,serial=chimera
