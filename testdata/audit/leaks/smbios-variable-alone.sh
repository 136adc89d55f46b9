# expect: smbios-value 2:43
qemu-system-x86_64 -smbios type=11,value="$OEM_STRING"
