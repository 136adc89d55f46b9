# expect: display-password 2:49
virt-install --name a --graphics=spice,password=hunter2
