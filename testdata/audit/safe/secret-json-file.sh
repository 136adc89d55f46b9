qemu-system-x86_64 -object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/var/lib/libvirt/qemu/domain-1-a/master-key.aes"}'
