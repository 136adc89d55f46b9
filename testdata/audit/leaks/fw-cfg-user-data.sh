# expect: fw-cfg-string 2:80
qemu-system-x86_64 -fw_cfg name=opt/io.cloud-init/cloud-init/user-data,string="$(cat letmein.yaml)"
