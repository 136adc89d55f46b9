#!/bin/sh
# Calls the hook as libvirt's daemon does, under its profile. What begins with two spaces is
# for whoever reads a failure. The program is at $credimg.
mkdir -p /m /etc/libvirt/hooks/qemu.d /etc/credimg /usr/local/share/credimg /usr/local/bin
mkdir -p /usr/bin /usr/sbin /tmp /sys/kernel/security
mount -t erofs -o ro LABEL=FILES /m
mount -t securityfs none /sys/kernel/security
# A program of its own for the profile, which is found by the program's path.
cp /bin/busybox /usr/sbin/libvirtd
cp /m/hook /usr/local/share/credimg/credimg-hook
cp /m/hook /etc/libvirt/hooks/qemu.d/credimg
ln -s /usr/local/share/credimg/credimg-hook /etc/libvirt/hooks/qemu
cp "${credimg:?}" /usr/local/bin/credimg
printf 'label: CHIMERA\nfiles: [{path: /a, text: a}]\n' >/etc/credimg/chimera.yaml
echo 'CREDIMG_OPTIONS="--mode 0440"' >/etc/credimg/chimera.env

cat >/tmp/daemon <<'EOF'
hook() {
    echo "<domain/>" | "$@" 2>/tmp/stderr >&2
    status=$?
    sed 's/^/  /' /tmp/stderr
    return $status
}
case $1 in
    confined) echo "confined: $(cat /proc/self/attr/current)" ;;
    link) hook /etc/libvirt/hooks/qemu chimera release end - ;;
    *) hook /etc/libvirt/hooks/qemu.d/credimg "$@" ;;
esac
EOF
daemon() {
    busybox sh -c 'exec -a sh /usr/sbin/libvirtd /tmp/daemon "$@"' sh "$@"
}
is_there() {
    [ ! -s /run/credimg/chimera/disk.erofs ] || echo ', an image'
}

cat /m/plain >/sys/kernel/security/apparmor/.load
daemon confined
daemon link
echo "a link to /usr/local/share: $?"
daemon chimera prepare begin -
echo "a copy, the program in /usr/local/bin: $?"
daemon medusa prepare begin -
echo "a machine without a manifest: $?"
mv /usr/local/bin/credimg /usr/bin/credimg
daemon chimera prepare begin -
echo "a copy, the program in /usr/bin: $?$(is_there)"
daemon chimera release end shutdown
echo "the end: $?$(is_there)"
mv /usr/bin/credimg /usr/local/bin/credimg
cat /m/with-rule >/sys/kernel/security/apparmor/.replace
daemon chimera prepare begin -
echo "a copy, the program in /usr/local/bin, with the rule: $?$(is_there)"
dmesg | grep 'apparmor="DENIED"' | sed 's/^/  /'
true
