# expect: drive-password 2:84
qemu-system-x86_64 -drive driver=https,url=https://host/a.img,username=me,password=hunter2
