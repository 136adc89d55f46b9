#!/bin/bash
# Starts the systemd guest by systemd-vmspawn, without KVM, with an image of ours as a volume that the
# guest cannot write, and prints what the guest reports. Its manifest is secrets.yaml in the working
# directory, which is for scratch as well.
#
#   unshare --mount --pid --fork --kill-child guest.sh VMSPAWN CREDIMG TREE
#
# VMSPAWN is where systemd's packages are unpacked, TREE what is laid over the guest's root.
set -euo pipefail
export VMSPAWN=$1 CREDIMG=$2
tree=$3 here=$PWD
beside=$(cd "$(dirname "$0")" && pwd)

mount --make-rprivate /
for directory in /run /var/lib; do mount -t tmpfs tmpfs "$directory"; done
mkdir -p /run/dbus /run/systemd/io.systemd.StorageProvider
mkdir -m 700 /var/lib/storage
dbus-daemon --system --nopidfile --fork
# vmspawn wants to be in a unit, by the name of its group of processes.
group=/sys/fs/cgroup/credimg$$.slice
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "$group/vmspawn.service"
echo 0 >"$group/vmspawn.service/cgroup.procs"
end() {
    kill "$(jobs -p)" 2>/dev/null || :
    wait
    echo 0 >/sys/fs/cgroup/cgroup.procs
    # The bus is in it as long as this script runs: whatever is left has ended with it.
    while read -r process; do
        echo "$process" >/sys/fs/cgroup/cgroup.procs || :
    done < <(cat "$group/vmspawn.service/cgroup.procs")
    rmdir "$group/vmspawn.service" "$group"
}
trap end EXIT
# Its programs want the C library that they came with, and none that they start does.
libraries=$(echo "$VMSPAWN"/usr/lib/*-linux-gnu)
export LOADER="$VMSPAWN/lib64/ld-linux-x86-64.so.2 --library-path $libraries/systemd:$libraries"
# shellcheck disable=SC2086 # words
systemd-socket-activate --accept --fdname=varlink --listen=/run/systemd/io.systemd.StorageProvider/fs \
    $LOADER "$VMSPAWN/usr/lib/systemd/systemd-storage-fs" 2>provider.log &

"$CREDIMG" build secrets.yaml -o /var/lib/storage/chimera.volume --format erofs --target vmspawn \
    --quiet >volume.arguments
# What stands for QEMU takes its arguments to vmspawn.
mkdir bin
ln -s "$beside/as-vmspawn" bin/qemu-system-x86_64
PATH=$here/bin:$PATH "$beside/../../../../scripts/guest-systemd" "$tree" --
