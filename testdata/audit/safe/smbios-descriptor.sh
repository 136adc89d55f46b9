qemu-system-x86_64 -smbios type=11,path=/dev/fd/3 3<token
