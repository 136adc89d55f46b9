# expect: guest-password 2:47
virt-builder debian-12 --password me:password:letmein
