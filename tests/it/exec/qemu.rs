//! QEMU itself judges what it inherits, over its own monitor.

use serde_json::json;

use super::*;
use crate::support::monitor::Qemu;

/// The first goes by the firmware where there is one.
const CREDENTIALS: &str = "label: CHIMERA\ncredentials: [{name: one, text: first}]\n";

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
    for bus in ["virtio", "scsi", "usb", "nvme", "cdrom", "sata"] {
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

/// What the monitor's own arguments name decides what it is given, unless an option does.
#[test]
fn the_monitors_own_machine_type_counts() {
    let host = Host::new(CREDENTIALS);
    let program = |name: &str| {
        fs::write(host.path(name), "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
        fs::set_permissions(host.path(name), Permissions::from_mode(0o755)).unwrap();
        format!("./{name}")
    };
    let (pc, arm) = (program("qemu-system-x86_64"), program("qemu-system-aarch64"));
    let (plain, microvm) = ("virtio-blk,", "virtio-blk-device,");
    let shell = |machine: &str| format!("exec {pc} -M '{machine},accel=kvm' \"$@\"");
    for (options, words, channel, device) in [
        (&[][..], &[&pc[..]][..], "-smbios", plain),
        (&[], &[&pc, "-M", "microvm,accel=kvm"], "-fw_cfg", microvm),
        (&[], &["env", &pc, "--machine", "type=microvm", "{}"], "-fw_cfg", microvm),
        (&[], &[&arm, "-M", "virt"], "-fw_cfg", plain),
        (&[], &[&arm, "-M", "virt", "-bios", "QEMU_EFI.fd"], "-smbios", plain),
        (&["--machine=microvm"], &["sh", "-c", "printf '%s\\n' \"$@\"", "sh"], "-fw_cfg", microvm),
        (&[], &["sh", "-c", &shell("microvm"), "sh", "{}"], "-fw_cfg", microvm),
        (&[], &["sh", "-c", &shell("q35"), "sh", "{}"], "-smbios", plain),
        // A script of one's own may have an option of this name.
        (
            &[],
            &["sh", "-c", "shift; printf '%s\\n' \"$@\"", "sh", "-M", "microvm"],
            "-smbios",
            plain,
        ),
    ] {
        let printed = succeed(&mut host.exec(options, words));
        for other in ["-smbios", "-fw_cfg"] {
            assert_eq!(printed.contains(other), other == channel, "{words:?}: {printed}");
        }
        assert!(printed.contains(&format!("\n{device}")), "{words:?}: {printed}");
    }

    let machine = MACHINE.iter().map(|word| if *word == "pc" { "microvm" } else { word });
    let mut qemu = Qemu::start(&mut host.exec(&[], &machine.collect::<Vec<_>>()));
    let serials: Vec<_> = qemu.drives().into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(serials, ["chimera"]);
}

#[test]
fn an_option_that_contradicts_the_program_brings_a_warning() {
    let host = Host::new(CREDENTIALS);
    for (options, words, names, channel) in [
        (&["--machine=q35"][..], &["-M", "microvm"][..], Some(["microvm", "q35"]), "-smbios"),
        (&["--guest=machine=microvm"], &["-M", "pc"], Some(["pc", "microvm"]), "-fw_cfg"),
        (&["--machine=microvm"], &[], Some(["pc", "microvm"]), "-fw_cfg"),
        (&["--machine=microvm"], &["-M", "microvm,pcie=on"], None, "-fw_cfg"),
        (&["--machine=virt-uefi"], &["-M", "virt"], None, "-smbios"),
        (&["--machine=pc"], &["-M", "isapc"], None, "-smbios"),
    ] {
        let words = [&["echo", "qemu-system-x86_64"], words].concat();
        let output = run(&mut host.exec(options, &words));
        let (arguments, said) = (stdout(&output), stderr(&output));
        assert!(output.status.success(), "{said}");
        assert!(arguments.contains(channel), "{words:?}: {arguments}");
        let expected = names.map(|[own, named]| {
            format!("start the machine type {own}, and what it gets is for {named}, as an option")
        });
        assert_eq!(said.contains("the machine type"), expected.is_some(), "{words:?}: {said}");
        assert!(said.contains(&expected.unwrap_or_default()), "{words:?}: {said}");
    }
}

#[test]
fn a_machine_type_that_is_not_known_gets_the_disk_alone() {
    let host = Host::new(CREDENTIALS);
    let machine = MACHINE.iter().map(|word| if *word == "pc" { "isapc" } else { word });
    let words: Vec<_> = machine.collect();
    // The machine has no PCI; its own line shows what it is given.
    let output = run(&mut host.exec(&[], &[&["echo"], &words[..]].concat()));
    let (arguments, said) = (stdout(&output), stderr(&output));
    assert!(output.status.success(), "{said}");
    assert!(!arguments.contains("-smbios") && !arguments.contains("-fw_cfg"), "{arguments}");
    let lines: Vec<_> = said.lines().collect();
    let unknown = "credimg: warning: what this machine's firmware carries is not known: everything \
                   goes onto the disk; --machine names one that is known";
    assert_eq!(lines[0], unknown);
    assert!(
        lines[1].ends_with("systemd.mount-extra=/run/secrets/credstore:/run/credstore:none:bind")
    );
    assert_eq!(lines.len(), 2, "{said}");

    fs::write(host.path("secrets.yaml"), "credentials: [{name: a, text: x, via: smbios}]").unwrap();
    let output = run(&mut host.exec(&[], &words));
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
}
