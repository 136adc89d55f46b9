# expect: url-password 2:29
qemu-img convert https://me:hunter2@host/a.qcow2 a.raw
