# expect: drive-password 3:78
# expect: drive-password 4:64
qemu-system-x86_64 -drive 'json:{"driver":"https","username":"u","password":"hunter2"}'
qemu-img convert 'json:{"file.driver":"https","file.password":"letmein"}' x
