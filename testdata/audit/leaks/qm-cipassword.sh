# expect: guest-password 2:37
qm set 100 --ciuser me --cipassword letmein
