# expect: url-password 2:94
qemu-system-x86_64 -blockdev '{"driver": "raw", "file": {"driver": "ssh", "url": "https://me:hunter2@host/a"}}'
