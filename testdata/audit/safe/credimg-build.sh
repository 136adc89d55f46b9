disk=$(credimg build secrets.yaml -o chimera.erofs) &&
eval "qemu-system-x86_64 -m 1G -drive file=root.img,format=qcow2 $disk"
