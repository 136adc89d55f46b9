# expect: guest-password 3:33
# expect: guest-password 4:61
virsh set-user-password vm root hunter2
virsh set-user-password --domain vm --user root --password "letmein" --encrypted
