# expect: display-password 2:47
virt-install --name a --graphics vnc,password=hunter2,listen=0.0.0.0
