//! Linux of five releases finds label and serial of disks on every bus, with the blocks
//! that hide them from SeaBIOS, mounts them, and reads equal files; one of them by UEFI too. `scripts/setup-tools long` gets the kernels.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::host::{Host, stderr, stdout};

/// Directories in the cache. The first is the one that `make test` boots.
const KERNELS: [&str; 5] =
    ["kernel", "kernel-bullseye", "kernel-trixie", "kernel-testing", "kernel-sid"];

/// Serial, which is the image's name as well; bus; format; blocks; whether it is encrypted.
const DISKS: [(&str, &str, &str, &str, bool); 11] = [
    ("virtio-erofs", "virtio", "erofs", "4096", false),
    ("virtio-squashfs", "virtio", "squashfs", "4096", false),
    ("virtio-iso", "virtio", "iso9660", "2048", false),
    ("scsi-erofs", "scsi", "erofs", "4096", false),
    ("scsi-iso", "scsi", "iso9660", "2048", false),
    ("usb-erofs", "usb", "erofs", "4096", false),
    ("nvme-erofs", "nvme", "erofs", "4096", false),
    ("nvme-iso", "nvme", "iso9660", "2048", false),
    ("cdrom-iso", "cdrom", "iso9660", "2048", false),
    ("luks-erofs", "virtio", "erofs", "4096", true),
    // In sectors of 512 bytes, on a disk whose blocks are larger.
    ("luks-iso", "virtio", "iso9660", "2048", true),
];

/// One line a disk: serial, size of a block, label, type, and what is in its file.
const PAYLOAD: &str = r#"
disks() { (cd /sys/block && ls -d vd* sd* nvme* sr* 2>/dev/null); }
tries=300
while [ "$(disks | wc -l)" -lt DISKS ] && [ $tries -gt 0 ]; do sleep 0.2; tries=$((tries - 1)); done
# The first number that a disk, or what it hangs on, has.
serial() {
    at=$(readlink -f "/sys/block/$1")
    while [ "$at" != /sys ]; do
        # A disk may have none, of which the newest say so.
        if cat "$at/serial" 2>/dev/null; then
            return
        elif [ -e "$at/vpd_pg80" ]; then
            tail -c +5 "$at/vpd_pg80"
            return
        fi
        at=$(dirname "$at")
    done
}
printf KEY >/key
echo 'The disks:'
for disk in $(disks); do
    tag() { blkid -p -s "$1" -o value "/dev/$disk"; }
    from=/dev/$disk kind=$(tag TYPE)
    if [ "$kind" = crypto_LUKS ]; then
        cryptsetup open --readonly --key-file /key "$from" opened || continue
        from=/dev/mapper/opened kind="luks $(blkid -p -s TYPE -o value "$from")"
    fi
    mount -t "${kind#luks }" -o ro "$from" /mnt
    echo "$(serial "$disk" | tr -d ' ')" "$(cat "/sys/block/$disk/queue/logical_block_size")" \
        "$(tag LABEL)" "$kind" "$(cat /mnt/a)" "$(cat /mnt/b /mnt/c | md5sum | cut -c 1-32)"
    umount /mnt
    [ ! -e /dev/mapper/opened ] || cryptsetup close opened
done
uname -r
"#;

#[test]
fn five_kernels_read_the_disks_of_every_bus() {
    let host = Host::new("files: [{path: /a, text: secret}, {path: /, dir: equal}]\n");
    // Equal files, whose blocks are stored once.
    fs::create_dir(host.path("equal")).unwrap();
    let lines = (0..12_000).fold(String::new(), |all, line| all + &format!("{line}\n"));
    for name in ["b", "c"] {
        fs::write(host.path("equal").join(name), &lines).unwrap();
    }
    let mut md5sum = Command::new("sh");
    md5sum.args(["-c", "cat equal/b equal/c | md5sum | cut -c 1-32"]).current_dir(host.path(""));
    let digest = stdout(&md5sum.output().unwrap());
    let key = "0123456789abcdef".repeat(4);
    fs::write(host.path("key"), &key).unwrap();
    fs::set_permissions(host.path("key"), Permissions::from_mode(0o600)).unwrap();
    let mut arguments = String::new();
    let mut expected = Vec::new();
    for (index, (serial, bus, format, blocks, is_encrypted)) in DISKS.iter().enumerate() {
        let (label, place) = (serial.to_uppercase(), (index + 1).to_string());
        let mut build = host.credimg();
        build.args(["build", "secrets.yaml", "-q", "-o", serial, "--format", format]);
        build.args(["--bus", bus, "--label", &label, "--serial", serial, "--place", &place]);
        if *is_encrypted {
            build.args(["--encrypt", "luks2", "--key-file", "key"]);
        }
        let output = build.output().unwrap();
        assert!(output.status.success(), "{serial}: {}", stderr(&output));
        // One image of a machine gets its key by the firmware; these are opened by hand.
        let text = stdout(&output);
        let drive = text.split(" -smbios ").next().unwrap_or_default();
        write!(arguments, " {}", drive.trim_end()).unwrap();
        let shown = match (*is_encrypted, *format) {
            (true, format) => format!("{label}-LUKS luks {format}"),
            (false, "squashfs") => " squashfs".to_owned(),
            (false, format) => format!("{label} {format}"),
        };
        // Linux shows no number of a CD-ROM there.
        let shown_serial = if *bus == "cdrom" { "" } else { serial };
        expected.push(format!("{shown_serial} {blocks} {shown} secret {}", digest.trim()));
    }
    expected.sort();
    let payload = PAYLOAD.replace("DISKS", &DISKS.len().to_string()).replace("KEY", &key);
    fs::write(host.path("payload"), payload).unwrap();
    let boot = |kernel: &str, firmware: &str| {
        let guest = Command::new("sh")
            .args(["-c", r#"eval "exec \"\$0\" payload -- $1""#])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-boot"))
            .arg(format!("{firmware} {arguments}"))
            .env("GUEST_KERNEL", kernel)
            .env("GUEST_PROGRAMS", "cryptsetup")
            .env("GUEST_MODULES", "dm-crypt xts ecb aes algif_skcipher")
            .current_dir(host.path(""))
            .output()
            .unwrap();
        assert!(guest.status.success(), "{kernel}: {}\n{}", stdout(&guest), stderr(&guest));
        let text = stdout(&guest);
        // UEFI has written to the same port.
        let (_, disks) = text.split_once("The disks:\n").unwrap();
        let mut lines: Vec<_> = disks.lines().map(str::to_owned).collect();
        let release = lines.pop().unwrap();
        lines.sort();
        assert_eq!(lines, expected, "{kernel}: {release}");
        release
    };
    let releases: Vec<_> = KERNELS.iter().map(|kernel| boot(kernel, "")).collect();
    let starts = |start: &str| releases.iter().any(|release| release.starts_with(start));
    assert!(starts("5.10.") && starts("6.12."), "{releases:?}");
    boot("kernel", "-bios /usr/share/ovmf/OVMF.fd");
}
