# expect: drive-password 2:100
qemu-system-x86_64 -blockdev '{"driver":"https","url":"https://host/a","username":"me","password":"hunter2"}'
