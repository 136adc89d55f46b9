# expect: guest-password 3:39
# expect: guest-password 4:53
virsh set-user-password chimera root 'letmein'
virsh set-user-password --domain chimera --password hunter2 --user me
