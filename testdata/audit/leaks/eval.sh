# expect: display-password 2:50
eval "qemu-system-x86_64 -spice 'port=1,password=hunter2'"
