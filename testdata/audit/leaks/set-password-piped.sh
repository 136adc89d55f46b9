# expect: display-password 4:24
# expect: display-password 6:18
# expect: display-password 8:54
echo 'set_password vnc hunter2' | socat - /run/mon.sock
socat - /run/mon.sock <<END
set_password vnc letmein
END
virsh qemu-monitor-command x --hmp "set_password vnc $password"
