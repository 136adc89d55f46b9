# expect: fw-cfg-string 2:63
qemu-system-x86_64 -fw_cfg name=opt/com.coreos/config,string="$(cat hunter2.ign)"
