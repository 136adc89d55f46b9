exec 3<token >log 2>&1
qemu-system-x86_64 -fw_cfg name=opt/io.systemd.credentials/a,file=/dev/fd/3 &>/dev/null &
