//! What still boots beside our images: every machine, bus and root, in each order, with
//! one image and with three.

use crate::support::places::{Places, ROOTS, Root};

const BUSES: [&str; 6] = ["virtio", "scsi", "usb", "nvme", "cdrom", "sata"];
/// The first stands alone, the others together: the other formats, and an encrypted one.
const IMAGES: [(&str, &[&str]); 4] = [
    ("c.erofs", &[]),
    ("d.squashfs", &[]),
    ("e.iso", &[]),
    ("f.erofs", &["--encrypt", "luks2", "--key-out", "key"]),
];
/// The firmware that QEMU chooses itself boots from no disk.
const MICROVM: &str = "microvm -bios /usr/share/seabios/bios-microvm.bin";
const MICROVM_ROOTS: [Root; 2] = [
    ("virtio-blk", "-drive ROOT,if=none,id=r -device virtio-blk-device,drive=r"),
    (
        "scsi",
        "-drive ROOT,if=none,id=r -device virtio-scsi-device,id=s -device scsi-hd,bus=s.0,drive=r",
    ),
];

#[test]
fn every_root_boots_beside_every_bus_of_a_pc() {
    let places = Places::new();
    let mut failures = Vec::new();
    for bus in BUSES {
        // SeaBIOS starts all NVMe disks at once: which is the first is a matter of chance.
        let roots = ROOTS.into_iter().filter(|(name, _)| (bus, *name) != ("nvme", "nvme"));
        let roots: Vec<_> = roots.collect();
        for ours in arguments(&places, bus, &[]) {
            let found = places.failures(&["pc", "q35"], &roots, &ours);
            failures.extend(found.into_iter().map(|failure| format!("{bus}: {failure}")));
        }
    }
    assert_eq!(failures, [""; 0]);
}

#[test]
fn every_root_boots_beside_every_bus_of_a_microvm() {
    let places = Places::new();
    let mut failures = Vec::new();
    for bus in ["virtio", "scsi", "cdrom"] {
        for ours in arguments(&places, bus, &["--machine", "microvm"]) {
            failures.extend(places.failures(&[MICROVM], &MICROVM_ROOTS, &ours));
        }
    }
    assert_eq!(failures, [""; 0]);
}

/// Without a place and with blocks of 512 bytes roots are displaced: the judge is not blind.
#[test]
fn a_disk_as_others_would_attach_it_displaces_roots() {
    let places = Places::new();
    places.build("c.erofs", &[]);
    let disk = "-drive if=none,id=d,file=c.erofs,format=raw,read-only=on";
    let displaced = |device: &str| {
        let mut failures = places.failures(&["pc"], &ROOTS, &format!("{disk} {device}"));
        failures.retain(|failure| failure.ends_with(" behind"));
        failures.join("; ")
    };
    assert_eq!(
        displaced("-device virtio-blk,drive=d"),
        "pc, if=virtio behind; pc, virtio-blk behind; pc, nvme behind; pc, usb behind"
    );
    assert_eq!(
        displaced("-device virtio-blk,addr=0x19,drive=d"),
        "pc, nvme behind; pc, usb behind"
    );
    assert_eq!(
        displaced("-device virtio-scsi,id=v,addr=0x19 -device scsi-hd,bus=v.0,drive=d"),
        "pc, if=virtio behind; pc, virtio-blk behind; pc, nvme behind; pc, usb behind"
    );
}

/// The arguments of one image, then of three.
fn arguments(places: &Places, bus: &str, options: &[&str]) -> [String; 2] {
    let build = |((image, own), place): (&(&str, &[&str]), &str)| {
        let common = ["--bus", bus, "--place", place];
        places.build(image, &[&common[..], options, own].concat())
    };
    let all: Vec<_> = IMAGES.iter().zip(["1", "2", "3", "4"]).map(build).collect();
    let [one, three @ ..] = &all[..] else { unreachable!("there are four") };
    [one.clone(), three.join(" ")]
}
