# expect: smbios-value 2:65
virt-install --name a --qemu-commandline="-smbios type=11,value=io.systemd.credential:api.token=letmein"
