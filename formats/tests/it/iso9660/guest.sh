# shellcheck shell=sh
# Runs in the test guest: writes what Linux reads from each image to the disk
# `output`, as one cpio archive an image, in the order of their names.
set -eu
disk=/dev/disk/by-id/virtio
await "$disk-images" "$disk-large" "$disk-output"
mkdir /images /iso
mount -t erofs -o ro "$disk-images" /images
exec 3>"$disk-output"

# Archives the files whose names arrive, each ended by a NUL.
archive() {
    cpio -0 -o -H newc >&3
}

for image in /images/trees/*; do
    busybox mount -t iso9660 -o loop,ro "$image" /iso
    cd /iso
    find . -print0 | archive
    cd /
    busybox umount /iso
done

# Without Rock Ridge there is Joliet, which has content and names alone.
for image in /images/joliet/*; do
    busybox mount -t iso9660 -o loop,ro,norock,utf8 "$image" /iso
    cd /iso
    find . -print0 | archive
    cd /
    busybox umount /iso
done

# Linux reads a directory from its start to find a name in it: of 50,000 names,
# few are looked up, and all are listed.
busybox mount -t iso9660 -o loop,ro /images/wide.iso /iso
cd /iso/wide
printf '%s\n' * >/run/names
printf '%s\0' /run/names entry-0 entry-1 entry-25000 entry-49999 | archive
cd /
busybox umount /iso

busybox mount -t iso9660 -o ro "$disk-large" /iso
stat -c %s /iso/large >/run/size
# The sectors before and behind the end of the first section, and the last bytes.
dd if=/iso/large bs=2048 skip=2097150 count=3 of=/run/sections
tail -c 5000 /iso/large >/run/end
head -c 8 /iso/large >/run/start
printf '%s\0' /run/size /run/sections /run/start /run/end | archive
busybox umount /iso

exec 3>&-
sync
