qemu-system-x86_64 -append "systemd.set_credential=system.hostname:chimera"
