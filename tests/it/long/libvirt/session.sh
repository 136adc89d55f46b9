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

# shellcheck source=tests/it/long/libvirt/daemon.bash
. "$(dirname "$0")/daemon.bash"
mkdir manifests images
cat >etc/hooks/qemu.d/credimg <<END
#!/bin/sh
echo "\$2" >>$here/calls
export CREDIMG=$credimg CREDIMG_MANIFESTS=$here/manifests CREDIMG_IMAGES=$here/images
exec $hook "\$@"
END
chmod 755 etc/hooks/qemu.d/credimg
start_daemon

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
