qemu-system-x86_64 -smbios type=11,value=io.systemd.credential:vmm.notify_socket=vsock:2:$PORT
