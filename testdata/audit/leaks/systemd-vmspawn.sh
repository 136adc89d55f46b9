# expect: set-credential 2:79
systemd-vmspawn --image=a.raw --set-credential=passwd.plaintext-password.root:letmein
