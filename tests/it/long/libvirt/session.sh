#!/bin/bash
# Runs libvirt's daemon with the hook, in a mount namespace of its own, and takes a machine
# through what keeps its memory; prints each step with the hook's calls and the image.
#
#   unshare --mount session.sh TREE HOOK CREDIMG
#
# TREE is where libvirt's packages are unpacked; the working directory is for scratch.
set -euo pipefail
tree=$1 hook=$2 credimg=$3
here=$PWD

mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$tree/usr:/usr" /usr
mkdir -p etc/hooks/qemu.d var drivers manifests images
cp "$tree"/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so drivers
cp -a "$tree/etc/libvirt/." etc
printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'namespaces = []' \
    'cgroup_controllers = []' 'stdio_handler = "file"' 'remember_owner = 0' >etc/qemu.conf
cat >etc/hooks/qemu.d/credimg <<END
#!/bin/sh
echo "\$2" >>$here/calls
export CREDIMG=$credimg CREDIMG_MANIFESTS=$here/manifests CREDIMG_IMAGES=$here/images
exec $hook "\$@"
END
chmod 755 etc/hooks/qemu.d/credimg
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

# Prints the step, the calls and the number of the image, each new one having the next.
step() {
    : >calls
    # What is built from now on is another image.
    printf 'label: CHIMERA\nfiles: [{path: /a, text: "%s"}]\n' "$*" >manifests/chimera.yaml
    echo "$1: $(virsh --quiet --connect qemu:///system "$@" >>virsh.log 2>&1 || echo 'refused ')$(
        grep -vx stopped calls | tr '\n' ' ')$(image)"
}
image() {
    [ -e images/chimera/disk.erofs ] || { echo '- no image'; return; }
    local digest
    digest=$(md5sum <images/chimera/disk.erofs)
    grep -qx "$digest" seen || echo "$digest" >>seen
    echo "- image $(grep -nx "$digest" seen | cut -d: -f1)"
}
touch seen
qemu-img create -q -f qcow2 root.qcow2 16M
cat >chimera.xml <<END
<domain type='qemu'><name>chimera</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><devices>
<emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file'><driver name='qemu' type='qcow2'/><source file='$here/root.qcow2'/>
<target dev='vda' bus='virtio'/></disk>
<disk type='file'><driver name='qemu' type='raw'/><source file='$here/images/chimera/disk.erofs'/>
<target dev='vdz' bus='virtio'/><readonly/></disk></devices></domain>
END
step define chimera.xml
step start chimera
step managedsave chimera
step start chimera
step destroy chimera
step start chimera
step managedsave chimera
mv images/chimera/disk.erofs gone
step start chimera
step managedsave-remove chimera
step start chimera
step snapshot-create-as chimera one
step destroy chimera
step snapshot-revert chimera one
step snapshot-revert chimera one
step snapshot-delete chimera one
step destroy chimera
