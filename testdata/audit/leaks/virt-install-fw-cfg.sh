# expect: fw-cfg-string 2:92
virt-install --name x --sysinfo type=fwcfg,entry0.name=opt/io.systemd.credentials/x,entry0=hunter2
