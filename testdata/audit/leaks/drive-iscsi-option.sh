# expect: drive-password 2:44
qemu-system-x86_64 -iscsi user=me,password=hunter2 -drive file=iscsi://192.0.2.1/iqn.2001-04.com.example/1
