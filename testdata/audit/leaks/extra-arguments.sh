# expect: kernel-credential 3:73
# expect: kernel-credential 4:48
virt-install --location a --extra-args=systemd.set_credential=api.token:letmein
KERNEL=systemd.set_credential_binary=api.token:bGV0bWVpbg==
