# expect: fw-cfg-string 2:47
qemu-system-x86_64 -fw_cfg "name=$NAME,string=$VALUE"
