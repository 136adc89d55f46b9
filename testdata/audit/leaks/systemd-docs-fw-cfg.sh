# expect: fw-cfg-string 2:74
qemu-system-x86_64 -fw_cfg name=opt/io.systemd.credentials/mycred,string=supersecret-letmein
