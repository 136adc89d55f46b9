# expect: smbios-value 2:28
kvm -smbios "type=11,value=x:${JOIN_TOKEN}"
