# expect: smbios-value 3:42
# expect: smbios-value 3:122
qemu-system-x86_64 -smbios type=11,value=io.systemd.credential:a=letmein,value=io.systemd.credential:fstab.extra=x,value=io.systemd.credential:b=hunter2
