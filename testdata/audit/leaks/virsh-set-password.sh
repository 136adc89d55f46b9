# expect: display-password 3:54
# expect: display-password 4:55
virsh qemu-monitor-command x --hmp 'set_password vnc hunter2'
virsh qemu-monitor-command x --hmp set_password spice letmein
