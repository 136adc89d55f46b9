# expect: guest-password 2:52
virt-customize -a a.qcow2 --root-password password:letmein
