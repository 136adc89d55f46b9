qemu-system-x86_64 -smbios file=chimera.erofs.smbios
