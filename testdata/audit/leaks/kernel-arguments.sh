# expect: kernel-password 9:63
# expect: kernel-password 10:61
# expect: kernel-password 11:55
# expect: kernel-password 12:76
# expect: kernel-password 13:60
# expect: kernel-password 14:35
# expect: kernel-password 15:39
# expect: kernel-password 16:54
virt-install --name x --extra-args "inst.vnc inst.vncpassword=hunter22"
qemu-system-x86_64 -kernel k -append "console=ttyS0 rootpwd=$pw"
virt-install --name x -x 'console=ttyS0 root_password=letmein'
virt-install --name x --boot kernel=k,kernel_args="console=ttyS0 k3s.token=letmein"
cloud-hypervisor --kernel k --cmdline "console=hvc0 rootpw=letmein"
crosvm run -p "panic=-1 api_token=letmein" vmlinux
kexec -l k --append="netroot=iscsi:me:letmein@10.0.0.1::3260::iqn.x"
grubby --update-kernel=ALL --args="rd.iscsi.password=letmein"
