# shellcheck shell=sh
# Runs in the test guest: prints, of each volume, what dm-crypt makes of it.
set -eu
export DM_DISABLE_UDEV=1
disk=/dev/disk/by-id/virtio
mkdir -p /run/cryptsetup /volumes /inner
await "$disk-volumes" "$disk-erofs" "$disk-iso9660" "$disk-far"
mount -t erofs -o ro "$disk-volumes" /volumes

digest() {
    sha256sum | cut -d ' ' -f 1
}

for key in /volumes/*.key; do
    name=$(basename "$key" .key)
    cryptsetup open --readonly --key-file "$key" "/volumes/$name.luks" plain
    echo "$name $(blockdev --getsize64 /dev/mapper/plain) $(digest </dev/mapper/plain)"
    cryptsetup close plain
done

# Right on a disk, with the inner file system mounted.
for type in erofs iso9660; do
    cryptsetup open --readonly --key-file /volumes/00.key "$disk-$type" plain
    busybox mount -t "$type" -o ro /dev/mapper/plain /inner
    echo "$type $(blockdev --getss /dev/mapper/plain) $(digest </inner/secret)"
    busybox umount /inner
    cryptsetup close plain
done

cryptsetup open --readonly --key-file /volumes/00.key "$disk-far" plain
while read -r sector; do
    piece=$(dd if=/dev/mapper/plain bs=4096 skip=$((sector / 8)) count=1 2>/run/log | digest)
    echo "far $sector $piece"
done </volumes/far
cryptsetup close plain
