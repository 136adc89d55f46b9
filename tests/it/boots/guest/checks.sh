# What the guest checks on each disk. tests/it/boots/guest.rs appends the manifest's
# contents and one `disk` or `disk_without_label` a drive; `finish` ends the script.
# What counts the checks is in tests/it/support/checks.sh.
# shellcheck shell=sh disable=SC2317

# refused COMMAND...: succeeds where the command fails.
refused() {
    ! "$@" >/dev/null 2>&1
}

# as UID COMMAND...: runs the command as that user and its group, with no other right.
as() {
    uid=$1
    shift
    setpriv --reuid="$uid" --regid="$uid" --clear-groups "$@"
}

# entry PATH MODE OWNER: whatever it is, it has that mode and owner.
entry() {
    check "mode and owner of $1" same "$2 $3" "$(stat -c '%a %u:%g' "/mnt$1")"
}

# regular PATH MODE OWNER SHA256
regular() {
    entry "$1" "$2" "$3"
    check "$1 is a regular file" [ -f "/mnt$1" ]
    check "content of $1" same "$4  -" "$(sha256sum <"/mnt$1")"
}

# directory PATH MODE OWNER
directory() {
    entry "$1" "$2" "$3"
    check "$1 is a directory" [ -d "/mnt$1" ]
}

# link PATH TARGET
link() {
    check "$1 is a symbolic link" [ -L "/mnt$1" ]
    check "target of $1" same "$2" "$(readlink "/mnt$1")"
}

# total COUNT: there is nothing on the disk that the manifest does not name.
total() {
    check "number of entries" same "$1" "$(find /mnt -print0 | tr -dc '\0' | wc -c)"
}

# Files and raw device, seen by an unprivileged user and by the service's own.
# The readable file shows that a refusal is about the file, not the way to it.
users() {
    check "anyone reads what is for all" as 1000 cat /mnt/motd >/dev/null
    check "a service reads its secret" as 990 cat /mnt/service/token >/dev/null
    check "a service reads no other" refused as 990 cat /mnt/ssh/host_key
    check "a user reads no file of root" refused as 1000 cat /mnt/ssh/host_key
    check "a user reads no file of a service" refused as 1000 cat /mnt/service/token
    check "a user lists no closed directory" refused as 1000 ls /mnt/tls
    check "root reads the device" head -c 4096 "$device" >/dev/null
    for user in 990 1000; do
        check "user $user reads no device" refused as "$user" head -c 4096 "$device"
    done
}

# QEMU does not tell a guest that an NVMe namespace is read-only: its writes fail
# all the same, which `writes` checks.
known_read_only() {
    case $device in
        /dev/nvme*) ;;
        *) same 1 "$(blockdev --getro "$device")" ;;
    esac
}

# Root itself cannot write, not even after lifting the kernel's read-only flag.
writes() {
    check "the device is read-only" known_read_only
    check "no new file" refused touch /mnt/new
    check "no change of a file" refused sh -c 'echo changed >/mnt/motd'
    check "no removal" refused rm /mnt/motd
    check "no writable mount" refused sh -c 'mount -o remount,rw /mnt && touch /mnt/new'
    umount /mnt
    blockdev --setrw "$device" 2>/dev/null
    check "no write to the device" refused \
        dd if=/dev/zero of="$device" bs=4096 count=1 conv=notrunc,fsync
}

# disk LABEL TYPE CONTENTS: CONTENTS is the function that checks the entries.
disk() {
    name=$1
    await "/dev/disk/by-label/$name" || exit 1
    device=$(findfs "LABEL=$name")
    check "blkid finds it" same "$device" "$(blkid -L "$name")"
    check "the type is known" same "$2" "$(blkid -p -s TYPE -o value "$device")"
    check "it mounts by label" mount "LABEL=$name" /mnt
    "$3"
    users
    writes
}

# disk_without_label SERIAL TYPE CONTENTS: a virtio disk that only its serial tells.
disk_without_label() {
    name=$1
    link=/dev/disk/by-id/virtio-$1
    await "$link" || exit 1
    device=$(readlink -f "$link")
    check "the serial leads to it" [ -b "$device" ]
    check "the type is known" same "$2" "$(blkid -p -s TYPE -o value "$device")"
    check "it mounts by serial" mount "$link" /mnt
    "$3"
    users
    writes
}
