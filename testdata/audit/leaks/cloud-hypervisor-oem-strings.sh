# expect: smbios-value 2:60
cloud-hypervisor --kernel vmlinux --platform "oem_strings=[io.systemd.credential:api.token=letmein]"
