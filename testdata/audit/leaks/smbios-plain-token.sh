# expect: smbios-value 2:45
kvm -smbios type=11,value=vendor:1234,value=agent-token:hunter2
