# expect: download-password 2:57
qemu-system-x86_64 -fw_cfg name=opt/x,file=<(curl -u me:hunter2 https://host/)
