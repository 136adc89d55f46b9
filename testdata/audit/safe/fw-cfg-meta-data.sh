qemu-system-x86_64 -fw_cfg name=opt/io.cloud-init/cloud-init/meta-data,string=instance-id:1
