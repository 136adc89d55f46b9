//! One boot of a real Linux guest on a microvm, which has no PCI and no SMBIOS tables: it
//! finds its disks, by virtio-mmio, and as many items of `fw_cfg` as are ever planned.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::support::host::{Host, stderr, stdout};

const PAYLOAD: &str = "await /dev/disk/by-label/CHIMERA /dev/disk/by-label/OTHER
await /dev/disk/by-id/virtio-chimera
for label in CHIMERA OTHER; do
    mount -t erofs -o ro,nosuid,nodev,noexec /dev/disk/by-label/$label /mnt
    cat /mnt/a
    umount /mnt
done
cat /sys/class/dmi/id/sys_vendor /sys/bus/pci/devices/* 2>/dev/null
cd /sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials
for item in *; do echo \"$item=$(cat \"$item/raw\")\"; done
";

#[test]
fn a_microvm_has_its_disks_and_its_items() {
    let mut manifest = "files: [{path: /a, text: \"a file\\n\"}]\ncredentials:\n".to_owned();
    let mut expected = "a file\na file\n".to_owned();
    for index in 10..27 {
        writeln!(manifest, "- {{name: name-{index}, text: value {index}}}").unwrap();
        writeln!(expected, "name-{index}=value {index}").unwrap();
    }
    let host = Host::new(&manifest);
    let built = host.build(&["--label", "CHIMERA", "--machine", "microvm", "--args", "lines"]);
    assert!(built.status.success(), "{}", stderr(&built));
    fs::write(host.path("other.yaml"), "files: [{path: /a, text: \"a file\\n\"}]\n").unwrap();
    let other = ["build", "other.yaml", "-o", "other.erofs", "--label", "OTHER"];
    let options = ["--machine", "microvm", "--bus", "scsi", "--args", "lines"];
    let other = host.credimg().args(other).args(options).output().unwrap();
    assert!(other.status.success(), "{}", stderr(&other));

    fs::write(host.path("payload"), PAYLOAD).unwrap();
    let guest = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-boot"))
        .args(["payload", "--"])
        .args(stdout(&built).lines())
        .args(stdout(&other).lines())
        .env("GUEST_MACHINE", "microvm")
        .current_dir(host.path(""))
        .output()
        .unwrap();
    assert!(guest.status.success(), "{}\n{}", guest.status, stderr(&guest));
    assert_eq!(stdout(&guest), expected);
}
