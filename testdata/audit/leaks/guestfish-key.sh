# expect: disk-passphrase 4:41
# expect: disk-passphrase 5:41
# expect: disk-passphrase 6:44
virt-cat -a a.qcow2 --key /dev/sda1:key:hunter2 /etc/hosts
guestfish --ro -a a.qcow2 --key=all:key:$PASSPHRASE -i
guestmount -a a.qcow2 -i --key "UUID-1:key:hunter2" /mnt
