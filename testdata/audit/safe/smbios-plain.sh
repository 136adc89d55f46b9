qemu-system-x86_64 -smbios type=11,value=myappname:some-data,value=rack=7
