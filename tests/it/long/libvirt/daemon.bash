# shellcheck shell=bash
# shellcheck disable=SC2317 # a trap calls what ends the daemon
# Runs libvirt's daemon in a mount namespace of its own, until the script ends. Before it is sourced,
# `tree` is where libvirt's packages are unpacked, and `here` a directory for scratch. A hook goes
# into etc/hooks/qemu.d there, before `start_daemon`.
: "${tree:?}" "${here:?}"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$tree/usr:/usr" /usr
mkdir -p etc/hooks/qemu.d var drivers
cp "$tree"/usr/lib/*/libvirt/connection-driver/libvirt_driver_{qemu,secret}.so drivers
cp -a "$tree/etc/libvirt/." etc
printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'namespaces = []' \
    'cgroup_controllers = []' 'stdio_handler = "file"' 'remember_owner = 0' >etc/qemu.conf
# The daemon asks for this user whatever user its machines run as.
cp /etc/passwd /etc/group .
grep -q ^libvirt-qemu: passwd || echo libvirt-qemu:x:64055:64055::/:/bin/false >>passwd
grep -q ^libvirt-qemu: group || echo libvirt-qemu:x:64055: >>group
grep -q ^libvirt: group || echo libvirt:x:64056: >>group
mount --bind passwd /etc/passwd
mount --bind group /etc/group
mount --bind etc /etc/libvirt
mount --bind var /var/lib
for directory in /run /var/cache /var/log; do mount -t tmpfs tmpfs "$directory"; done

start_daemon() {
    LIBVIRT_DRIVER_DIR=$here/drivers /usr/sbin/libvirtd >daemon.log 2>&1 &
    daemon=$!
    end() {
        virsh --connect qemu:///system destroy chimera >/dev/null 2>&1 || :
        kill "$daemon" 2>/dev/null || :
        wait "$daemon" || :
    }
    trap end EXIT
    until virsh --connect qemu:///system version >/dev/null 2>&1; do
        kill -0 "$daemon" || { cat daemon.log >&2; exit 1; }
        sleep 0.2
    done
}
