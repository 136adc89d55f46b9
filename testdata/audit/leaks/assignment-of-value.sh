# expect: smbios-value 2:22
SMBIOS=type=11,value=io.systemd.credential:api.token=letmein
qemu-system-x86_64 -smbios "$SMBIOS"
