# expect: smbios-value 3:48
TOKEN=$(cat token)
exec qemu-system-x86_64 -smbios "type=11,value=io.systemd.credential:api.token=$TOKEN"
