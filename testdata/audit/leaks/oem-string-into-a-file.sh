# expect: smbios-value 4:6
# expect: smbios-value 5:29
# expect: smbios-value 6:14
echo io.systemd.credential:api=letmein > oem
printf '%s\n' type=11,value=io.systemd.credential:api="$TOKEN" > arguments
oem=$(printf io.systemd.credential:api=%s "$TOKEN")
