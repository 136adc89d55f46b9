printf 'set_password vnc %s\n' "$password" | socat - /run/mon.sock
echo "set_password vnc $password" | socat - /run/mon.sock
echo "expire_password vnc never" | socat - /run/mon.sock
virsh qemu-monitor-command a --hmp 'info vnc'
