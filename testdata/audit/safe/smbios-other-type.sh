qemu-system-x86_64 -smbios type=3,value=password=none
