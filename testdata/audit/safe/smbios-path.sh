qemu-system-x86_64 -smbios type=11,path=chimera.token
