//! What is printed for Proxmox VE, in a real QEMU beside the devices of a machine of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use credimg::monitors::Place;
use serde_json::json;

use super::*;
use crate::support::monitor::Qemu;
use paths::{perl_words, shell_words};

/// The bridge that every machine of Proxmox has, and how its own devices fill it: slots 1 to
/// 0x18 have each an owner in `PCI.pm`.
fn own_devices(machine: &str) -> Vec<String> {
    let bus = if machine == "q35" { "pcie.0" } else { "pci.0" };
    let mut words: Vec<_> =
        ["-machine", machine, "-S", "-display", "none", "-nodefaults"].map(str::to_owned).into();
    words.extend(["-qmp", "stdio", "-m", "64"].map(str::to_owned));
    let bridge = format!("pci-bridge,id=pci.2,chassis_nr=2,bus={bus},addr=0x1e");
    words.extend(["-device".to_owned(), bridge]);
    for slot in 1..=0x18 {
        let device = format!("virtio-rng-pci,bus=pci.2,addr={slot:#x}");
        words.extend(["-device".to_owned(), device]);
    }
    words
}

/// Seven images of one machine, on either bus: QEMU has them all, and nothing blocks it from
/// saving the machine or moving it.
#[test]
fn a_machine_of_proxmox_starts_with_seven_images_and_can_be_saved() {
    let directory = tempfile::tempdir().unwrap();
    for (machine, bus) in
        [("pc", Bus::Virtio), ("q35", Bus::Scsi), ("pc", Bus::Sata), ("q35", Bus::Cdrom)]
    {
        let mut words = own_devices(machine);
        let mut expected = BTreeSet::new();
        for nth in 1..=7 {
            let image = directory.path().join(format!("{nth}.erofs"));
            fs::write(&image, vec![0; 4096]).unwrap();
            let mut machine = with_disk(&image, bus);
            let drive = machine.drive.as_mut().unwrap();
            drive.serial = Serial::new(&format!("image{nth}")).unwrap();
            drive.id = DriveId::from_serial(&drive.serial);
            drive.place = Place::Nth(nth);
            expected.insert((format!("image{nth}"), 4096));
            let text = String::from_utf8(proxmox::render(&machine).unwrap()).unwrap();
            words.extend(perl_words(&shell_words(&text)[1]));
        }
        let mut qemu = Qemu::start(Command::new("qemu-system-x86_64").args(&words));
        assert_eq!(qemu.drives(), expected, "{machine}");
        assert_eq!(qemu.inodes_below(directory.path()).len(), 7, "{machine}");
        qemu.execute(&json!({"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}));
        loop {
            let state = qemu.execute(&json!({"execute": "query-migrate"}));
            assert_ne!(state["status"], "failed", "{state}");
            if state["status"] == "completed" {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn an_eighth_image_has_no_place() {
    let mut machine = with_disk("/vm/a.erofs", Bus::Virtio);
    machine.drive.as_mut().unwrap().place = Place::Nth(8);
    let failure = proxmox::render(&machine).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert_eq!(failure.message, "proxmox has places for 7 images");
    machine.drive.as_mut().unwrap().place = Place::Auto;
    let text = String::from_utf8(proxmox::render(&machine).unwrap()).unwrap();
    assert!(text.contains("virtio-blk,bus=pci.2,drive="), "{text}");
}
