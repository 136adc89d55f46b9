# expect: kernel-password 3:73
# expect: kernel-password 4:30
APPEND="root=/dev/vda auto url=http://host/preseed passwd/user-password=letmein"
kernel_cmdline="quiet rootpw=$ROOT"
