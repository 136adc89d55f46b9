# expect: display-password 2:61
qemu-system-x86_64 -spice port=5930,addr=127.0.0.1,password=hunter2
