qemu-system-x86_64 -iscsi initiator-name=iqn.2001-04.com.example,user=me,password-secret=s -drive file=iscsi://me@192.0.2.1:3260/iqn.2001-04.com.example:a/1
