# expect: set-credential 2:58
systemd-nspawn --image=image.raw --set-credential mycred:letmein\ there -b
