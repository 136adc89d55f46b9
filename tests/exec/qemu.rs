//! QEMU itself judges what it inherits, over its own monitor.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout};

use serde_json::json;

use super::*;
use monitor::Qemu;

#[path = "../qemu_args/monitor.rs"]
mod monitor;

/// Every bus in both styles: QEMU has the whole image, read-only down to the
/// file, and no file of the directory besides.
#[test]
fn qemu_takes_the_image_on_every_bus_in_both_styles() {
    let host = Host::new(
        "label: CHIMERA\nfiles: [{path: /a, file: large}]\ncredentials:\n\
         - {name: one, text: first, via: smbios}\n- {name: two, text: second, via: fw_cfg}\n",
    );
    fs::write(host.path("large"), vec![b'l'; 300_000]).unwrap();
    let built = host.build(&["-q"]);
    assert!(built.status.success(), "{}", stderr(&built));
    let size_bytes = fs::metadata(host.path("out.erofs")).unwrap().len();
    for bus in ["virtio", "scsi", "usb", "nvme", "cdrom"] {
        for style in ["shell", "blockdev"] {
            let mut command = host.exec(&["--bus", bus, "--args", style], MACHINE);
            let mut qemu = Qemu::start(command.stderr(Stdio::null()));
            let expected = [("chimera".to_owned(), size_bytes)].into();
            assert_eq!(qemu.drives(), expected, "{bus} {style}");
            assert!(qemu.inodes_below(&host.path("")).is_empty(), "{bus} {style}");
            let sets = qemu.execute(&json!({"execute": "query-fdsets"}));
            assert_eq!(sets.as_array().unwrap().len(), 1, "{sets}");
        }
    }
}

/// QEMU would refuse two devices in one slot.
#[test]
fn the_image_takes_the_first_place_that_is_free() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: x}]\n");
    for (own, options, slot) in [
        (&[][..], &[][..], 0x19),
        (&["-device", "e1000,addr=0x19", "-device", "virtio-rng-pci,addr=18.0"], &[], 0x17),
        (&["-device", r#"{"driver":"e1000","addr":"19"}"#], &["--bus", "scsi"], 0x18),
        (&["-device", "e1000,addr=0x19"], &["--place", "3"], 0x17),
        (&["-device", "e1000,addr=0x19"], &["--place", "auto"], 2),
    ] {
        let mut qemu = Qemu::start(&mut host.exec(options, &[MACHINE, own].concat()));
        let buses = qemu.execute(&json!({"execute": "query-pci"}));
        let devices = buses[0]["devices"].as_array().unwrap();
        // Virtio's own vendor id; entropy is device 0x1005.
        let is_disk =
            |device: &&Value| device["id"]["vendor"] == 0x1af4 && device["id"]["device"] != 0x1005;
        let disks: Vec<_> = devices.iter().filter(is_disk).map(|disk| &disk["slot"]).collect();
        assert_eq!(disks, [&json!(slot)], "{own:?} {options:?}");
    }
}

/// Nested, each with a disk of its own, beside a set of the user's.
#[test]
fn several_images_and_sets_of_ones_own_go_together() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: x}]\n");
    fs::write(host.path("own"), vec![0; 512]).unwrap();
    let inner = [env!("CARGO_BIN_EXE_credimg"), "exec", "secrets.yaml", "--label", "OTHER", "--"];
    let with_own = ["sh", "-c", "exec \"$@\" 9<own", "sh"];
    let drive = "if=none,id=own,format=raw,read-only=on,file=/dev/fdset/1";
    let own = ["-add-fd", "fd=9,set=1", "-drive", drive, "-device", "nvme,drive=own,serial=own"];
    let program = [&inner[..], &with_own, MACHINE, &own].concat();
    let mut qemu = Qemu::start(&mut host.exec(&[], &program));
    let serials: Vec<_> = qemu.drives().into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(serials, ["chimera", "other", "own"]);
}
