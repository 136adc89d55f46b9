# expect: smbios-value 5:24
virsh define /dev/stdin <<EOF
<domain type='kvm'>
  <sysinfo type='smbios'>
    <oemStrings><entry>io.systemd.credential:api.token=letmein</entry></oemStrings>
  </sysinfo>
</domain>
EOF
