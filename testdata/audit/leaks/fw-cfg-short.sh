# expect: fw-cfg-string 2:56
qemu-system-x86_64 -fw_cfg opt/org.example/join,string=hunter2
