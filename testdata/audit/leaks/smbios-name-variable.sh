# expect: smbios-value 2:43
qemu-system-x86_64 -smbios "type=11,value=io.systemd.credential:${NAME}=${VALUE}"
