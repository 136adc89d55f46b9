qemu-system-x86_64 -fw_cfg name=opt/io.systemd.credentials/login.motd,string=hello
