virt-install --name a --sysinfo type=fwcfg,entry0.name=opt/com.example/a,entry0.file=/run/a
virt-install --name a --sysinfo type=fwcfg,entry0.name=opt/io.systemd.credentials/system.hostname,entry0=vm
