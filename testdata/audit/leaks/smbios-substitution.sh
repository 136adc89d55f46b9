# expect: smbios-value 2:42
qemu-system-x86_64 -smbios type=11,value=io.systemd.credential.binary:api.token=$(base64 -w0 <letmein.txt)
