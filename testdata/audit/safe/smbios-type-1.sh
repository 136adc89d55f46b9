qemu-system-x86_64 -smbios "type=1,serial=ds=nocloud;s=http://192.0.2.1:8000/,uuid=$UUID"
