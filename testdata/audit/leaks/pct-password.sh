# expect: guest-password 3:36
# expect: guest-password 4:49
pct create 100 template --password hunter2
pvesh set /nodes/a/qemu/100/config --cipassword letmein
