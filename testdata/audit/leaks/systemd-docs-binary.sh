# expect: smbios-value 2:42
qemu-system-x86_64 -smbios type=11,value=io.systemd.credential.binary:tmpfiles.extra=bGV0bWVpbgo=letmein
