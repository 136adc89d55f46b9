qemu-system-x86_64 -append "console=ttyS0 root=LABEL=root systemd.import_credentials=yes rd.luks.key=/key:LABEL=CHIMERA"
