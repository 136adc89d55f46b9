qemu-system-x86_64 -fw_cfg name=opt/io.systemd.credentials/api.token,file=token
