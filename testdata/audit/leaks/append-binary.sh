# expect: kernel-credential 2:85
qemu-system-x86_64 -kernel vmlinuz -append 'systemd.set_credential_binary=api.token:bGV0bWVpbg==letmein'
