systemd-vmspawn --image=a.raw --load-credential=api.token:/run/keys/token --set-credential=firstboot.locale:C.UTF-8
