qemu-system-x86_64 -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536 -fw_cfg opt/org.tianocore/IPv4PXESupport,string=n
