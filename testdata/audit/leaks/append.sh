# expect: kernel-credential 2:92
qemu-system-x86_64 -kernel vmlinuz -append "console=ttyS0 systemd.set_credential=api.token:letmein quiet"
