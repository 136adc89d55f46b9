# What the guest checks of each disk with cloud-init's own programs, which are on
# the disk TOOLS. tests/it/boots/cloud_init.rs appends the file /user-data, then `disks
# SERIAL...` and a `seed` or a `no_seed` a disk; `finish` ends the script. What
# counts the checks is in tests/it/support/checks.sh.
# shellcheck shell=sh disable=SC2154

# disks SERIAL...: notes their numbers and takes their nodes away, so that each
# can be the only one in sight later.
disks() {
    mkdir /tools /overlay /numbers
    await /dev/disk/by-label/TOOLS || exit 1
    mount -t erofs -o ro /dev/disk/by-label/TOOLS /tools || exit 1
    for name in "$@"; do
        await "/dev/disk/by-id/virtio-$name" || exit 1
        device=$(readlink -f "/dev/disk/by-id/virtio-$name")
        tr : ' ' <"/sys/class/block/${device#/dev/}/dev" >"/numbers/$name"
        rm "$device"
    done
}

# A fresh root with cloud-init in it: nothing is left of the disk before. Only
# the module that writes files is to run.
make_root() {
    mount -t tmpfs tmpfs /overlay
    mkdir /overlay/upper /overlay/work
    mount -t overlay -o lowerdir=/tools,upperdir=/overlay/upper,workdir=/overlay/work root /mnt
    for directory in dev proc run sys tmp; do
        mkdir -p "/mnt/$directory"
        [ "$directory" = tmp ] || mount --bind "/$directory" "/mnt/$directory"
    done
    mount -t tmpfs tmpfs /mnt/run
    echo 'cloud_init_modules: [write-files]' >/mnt/etc/cloud/cloud.cfg.d/99-test.cfg
    echo root:x:0:0::/root:/bin/sh >/mnt/etc/passwd
    echo root:x:0: >/mnt/etc/group
}

# boot SERIAL: what cloud-init does when a guest boots, with this disk in sight.
boot() {
    name=$1
    make_root
    # shellcheck disable=SC2046 # two numbers
    mknod "/dev/seed-$name" b $(cat "/numbers/$name")
    {
        chroot /mnt /usr/lib/cloud-init/ds-identify
        chroot /mnt /usr/bin/cloud-init init --local
        chroot /mnt /usr/bin/cloud-init init
    } >/log 2>&1
}

# halt FAILURES: ends what `boot` began; shows its output where a check has failed since.
halt() {
    [ "$failures" -eq "$1" ] || cat /log
    rm "/dev/seed-$name"
    umount /mnt/run /mnt/run /mnt/sys /mnt/proc /mnt/dev /mnt /overlay
}

# knows KEY VALUE: cloud-init says so of the instance.
knows() {
    grep -q "\"$1\": \"$2\"" /mnt/run/cloud-init/instance-data.json
}

# seed SERIAL: cloud-init takes the disk and does what its user-data says.
seed() {
    before=$failures
    boot "$1"
    check "ds-identify finds it" \
        grep -qx 'datasource_list: \[ NoCloud, None \]' /mnt/run/cloud-init/cloud.cfg
    check "cloud-init has it from the disk" knows subplatform "config-disk (/dev/seed-$name)"
    check "the instance's id" knows instance_id chimera-1
    check "the host's name" knows local_hostname chimera
    check "the user-data" \
        cmp /user-data /mnt/var/lib/cloud/instances/chimera-1/user-data.txt
    check "the network's configuration" \
        grep -q "Applying network configuration from ds .*'dhcp4': True" /log
    unit=/mnt/etc/systemd/system/app.service
    check "what user-data asks for" \
        same "644 ImportCredential=api.*" "$(stat -c %a "$unit") $(grep Import "$unit")"
    halt "$before"
}

# no_seed SERIAL: a disk with the right label that cloud-init passes over.
no_seed() {
    before=$failures
    boot "$1"
    check "ds-identify goes by its label" \
        grep -qx 'datasource_list: \[ NoCloud, None \]' /mnt/run/cloud-init/cloud.cfg
    check "cloud-init looks at it" \
        grep -q "device /dev/seed-$name with label=cidata not a valid seed" /log
    check "cloud-init makes nothing of it" knows instance_id iid-datasource-none
    halt "$before"
}
