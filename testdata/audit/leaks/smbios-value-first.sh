# expect: smbios-value 2:35
qemu-system-x86_64 -smbios 'value=io.systemd.credential:api.token=letmein,type=11'
