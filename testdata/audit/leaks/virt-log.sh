# expect: url-password 2:24
virt-log -a https://me:hunter2@host/disk.img
