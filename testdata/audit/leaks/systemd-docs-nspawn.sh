# expect: set-credential 2:53
systemd-nspawn -i image.raw --set-credential=mycred:supersecret-letmein -b
