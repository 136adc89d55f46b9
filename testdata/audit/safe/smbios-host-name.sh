qemu-system-x86_64 -smbios type=11,value=io.systemd.credential:system.hostname=chimera,value=io.systemd.credential:firstboot.timezone=UTC
