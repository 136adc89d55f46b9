# expect: smbios-value 2:63
virt-install --name a --sysinfo type=smbios,oemStrings.entry0=io.systemd.credential:api.token=letmein --import
