# expect: smbios-value 2:27
kvm -smbios type=11,value=password=hunter2
