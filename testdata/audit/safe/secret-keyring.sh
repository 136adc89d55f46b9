qemu-system-x86_64 -object secret_keyring,id=s,serial=0x2a
