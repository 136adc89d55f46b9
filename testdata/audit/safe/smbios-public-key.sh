qemu-system-x86_64 -smbios "type=11,value=io.systemd.credential:ssh.authorized_keys.root=$(cat ~/.ssh/id_ed25519.pub)"
