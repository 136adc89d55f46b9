# expect: url-password 2:43
qemu-system-x86_64 -drive file=iscsi://me%hunter2@192.0.2.1/iqn.2001-04.com.example/1,format=raw
