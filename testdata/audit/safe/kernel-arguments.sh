qemu-system-x86_64 -kernel k -append "console=ttyS0 root=/dev/vda rd.luks.key=/keyfile quiet"
virt-install --name x --extra-args "inst.ks=http://host/ks.cfg inst.vnc"
rootpw=$(openssl rand -hex 8)
rootpwd="$1"
kexec -l k --append="root=UUID=1 netroot=iscsi:10.0.0.1::3260::iqn.x"
append "PASSWORD_FILE=/run/password"
