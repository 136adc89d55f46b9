qemu-system-x86_64 -spice unix=on,addr=/run/spice.sock,disable-ticketing=on
