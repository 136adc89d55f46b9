qemu-system-x86_64 -drive file=ssh://me@host:22/images/a.qcow2
