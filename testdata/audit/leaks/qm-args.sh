# expect: smbios-value 2:42
qm set 100 --args "-smbios type=11,value=io.systemd.credential:api.token=letmein"
