//! What is planned for a machine that is no PC: nothing by a channel that it lacks, and
//! words for the kernel's command line where it has none.

use std::io::Write as _;
use std::process::{Command, Stdio};

use credimg::delivery::means::Means;
use credimg::delivery::route::{Opening, Teller};
use credimg::manifest::Channel;
use credimg::monitors::{MachineType, Monitor, SmbiosForm};

use super::planner::{AUTO, encrypted, names, planned};
use super::*;

const MANIFEST: &str = "label: CHIMERA\nfiles: [{path: /a, text: x}]\n\
                        credentials: [{name: a, text: hello}, {name: b, text: hello, via: disk}]\n";
const MOUNTS: [&str; 2] = [
    "systemd.mount-extra=LABEL=CHIMERA:/run/secrets:erofs:ro,nosuid,nodev,noexec",
    "systemd.mount-extra=/run/secrets/credstore:/run/credstore:none:bind",
];

fn means(machine: &str, target: Monitor) -> Means {
    let machine_type: MachineType = machine.parse().unwrap();
    Means { machine_type: Some(machine_type), ..planner::means(target) }
}

#[test]
fn each_machine_gets_what_it_has() {
    let (smbios, fw_cfg) = (Teller::Channel(Channel::Smbios), Teller::Channel(Channel::FwCfg));
    for (machine, channel, teller) in [
        ("pc", "smbios", smbios),
        ("q35", "smbios", smbios),
        ("q35,acpi=off", "smbios", smbios),
        ("virt-uefi", "smbios", smbios),
        ("microvm", "fw_cfg", fw_cfg),
        ("microvm,pcie=on", "fw_cfg", fw_cfg),
        ("virt", "fw_cfg", fw_cfg),
        ("microvm,acpi=off", "disk", Teller::KernelLine),
        ("s390-ccw-virtio", "disk", Teller::KernelLine),
        ("pseries", "disk", Teller::KernelLine),
    ] {
        let means = means(machine, Monitor::Qemu);
        let routes = planned(AUTO, &[Some(5); 2], &means).unwrap();
        assert_eq!(names(&routes), [channel; 2], "{machine}");
        let with_disk = format!("{AUTO}\nmount: /run/secrets");
        let routes = planned(&with_disk, &[Some(5); 2], &means).unwrap();
        assert_eq!(routes.mount.as_ref().map(|mount| mount.by), Some(teller), "{machine}");
        let is_told = teller == Teller::KernelLine;
        assert_eq!(routes.warnings.len(), usize::from(is_told), "{machine}");
        let words = if is_told { MOUNTS.to_vec() } else { Vec::new() };
        assert_eq!(routes.kernel_arguments(), words, "{machine}");
    }
    let unknown = Means { machine_type: Some(MachineType::UNKNOWN), ..means("pc", Monitor::Qemu) };
    assert_eq!(names(&planned(AUTO, &[Some(5); 2], &unknown).unwrap()), ["disk"; 2]);
}

/// What QEMU carries only in sight goes another way, but for what is no secret.
#[test]
fn a_machine_of_libvirt_has_what_both_carry() {
    for (machine, channel, teller) in [
        ("pc-q35-9.2", "disk", Teller::Channel(Channel::FwCfg)),
        ("virt-9.1", "fw_cfg", Teller::Channel(Channel::FwCfg)),
        ("pseries-9.2", "disk", Teller::KernelLine),
    ] {
        let routes = planned(AUTO, &[Some(5); 2], &means(machine, Monitor::Libvirt)).unwrap();
        assert_eq!(names(&routes), [channel; 2], "{machine}");
        let teller = (channel == "disk").then_some(teller);
        assert_eq!(routes.mount.as_ref().map(|mount| mount.by), teller, "{machine}");
    }
}

/// Each of these chooses its machine by the processor that it runs on. vmspawn would put what
/// does not fit onto the kernel's command line, which every user of guest and host can read.
#[test]
fn monitors_that_choose_their_machine_get_what_it_carries() {
    let kernel = Teller::KernelLine;
    for (target, machine, channel, teller) in [
        (Monitor::Vmspawn, "q35", "smbios", Teller::Channel(Channel::Smbios)),
        (Monitor::Vmspawn, "virt-uefi", "smbios", Teller::Channel(Channel::Smbios)),
        (Monitor::Vmspawn, "virt", "disk", Teller::Argument),
        (Monitor::Vmspawn, "pseries", "disk", Teller::Argument),
        (Monitor::CloudHypervisor, "q35", "disk", Teller::Argument),
        (Monitor::CloudHypervisor, "virt", "disk", kernel),
        (Monitor::CloudHypervisor, "virt-uefi", "disk", kernel),
    ] {
        let with_disk = format!("{AUTO}\nmount: /run/secrets");
        let routes = planned(&with_disk, &[Some(5); 2], &means(machine, target)).unwrap();
        assert_eq!(names(&routes), [channel; 2], "{target:?} {machine}");
        assert_eq!(routes.mount.unwrap().by, teller, "{target:?} {machine}");
    }
}

#[test]
fn what_a_machine_lacks_is_refused_with_its_reason() {
    for (machine, via, expected) in [
        ("microvm", "smbios", "microvm: it has no SMBIOS tables"),
        ("microvm,acpi=off", "fw_cfg", "microvm: without ACPI its guest finds no fw_cfg device"),
        ("virt", "smbios", "virt: without UEFI it has no SMBIOS tables"),
        ("s390-ccw-virtio", "fw_cfg", "s390-ccw-virtio: it has neither SMBIOS tables nor fw_cfg"),
    ] {
        let manifest = format!("credentials: [{{name: a, text: x, via: {via}}}]");
        let host = Host::new(&manifest);
        let start = format!("secrets.yaml:1:15: credentials[0]: cannot go by {via}: {expected}");
        let output = host.build(&["--machine", machine]);
        assert_eq!(refused(&output), (3, start), "{machine}");
        assert!(!host.path("out.erofs").exists());
    }
}

/// 17 items have room; where one must go onto the disk the lines for the disk are one of them.
#[test]
fn items_of_fw_cfg_end_at_17() {
    for (count, by_fw_cfg) in [(17, 17), (18, 16), (30, 16)] {
        let many: Vec<_> = (0..count).map(|n| format!("{{name: c{n}, env: A}}")).collect();
        let manifest = format!("credentials: [{}]", many.join(", "));
        let lengths = vec![Some(5); count];
        let routes = planned(&manifest, &lengths, &means("microvm", Monitor::Qemu)).unwrap();
        let found = names(&routes).iter().filter(|name| **name == "fw_cfg").count();
        assert_eq!((found, routes.budget.items), (by_fw_cfg, 17), "{count}");
        // These machines have slots enough, so that there is nothing to warn of.
        assert_eq!(routes.warnings, [""; 0], "{count}");
    }
    let long = "n".repeat(29);
    let manifest = format!("credentials: [{{name: a, env: A}}, {{name: {long}, env: A}}]");
    let virt = means("virt", Monitor::Qemu);
    assert_eq!(names(&planned(&manifest, &[Some(5); 2], &virt).unwrap()), ["fw_cfg", "disk"]);
    assert_eq!(
        names(&planned(AUTO, &[Some(65_536), Some(65_537)], &virt).unwrap()),
        ["fw_cfg", "disk"]
    );
    let routes = planned(AUTO, &[None; 2], &virt).unwrap();
    assert_eq!(names(&routes), ["?"; 2]);
    let why = "by fw_cfg item if it fits, else on the disk: its length is not known yet";
    assert_eq!(routes.routes[0].why, why);
}

#[test]
fn the_key_of_a_disk_goes_by_what_the_machine_has() {
    let opening = |machine: &str| {
        let machine_type = machine.parse().ok();
        let means = Means { machine_type, ..encrypted(Monitor::Qemu) };
        let routes = planned("files: []", &[], &means).unwrap();
        (routes.opening, routes.warnings.len(), routes.mount)
    };
    for (machine, channel, unit) in [
        ("virt-uefi", Channel::Smbios, "credimg-chimera.service"),
        ("microvm", Channel::FwCfg, "c.service"),
        ("virt", Channel::FwCfg, "c.service"),
    ] {
        let (found, warnings, mount) = opening(machine);
        let by = Teller::Channel(channel);
        assert_eq!((found, warnings), (Some(Opening { by, has_key: true }), 0), "{machine}");
        let needs = format!(",x-systemd.requires={unit} ");
        assert!(mount.unwrap().fstab.contains(&needs), "{machine}");
    }
    assert_eq!(opening("pseries"), (None, 1, None));
}

#[test]
fn the_words_for_the_kernel_are_told_and_reported() {
    let host = Host::new(MANIFEST);
    let report = built(&host, &["--machine=s390-ccw-virtio"]);
    assert_eq!(report["kernel_arguments"], serde_json::json!(MOUNTS));
    assert_eq!(channels(&report), [("disk".to_owned(), 2)].into());
    let said = stderr(&host.build(&["--machine=s390-ccw-virtio", "--quiet"]));
    let expected = format!(
        "credimg: warning: no firmware of this machine tells the guest to mount the disk: put \
         this on the guest's kernel command line, or install what `credimg guest-unit` prints: {}\n",
        MOUNTS.join(" ")
    );
    assert_eq!(said, expected);
    assert_eq!(built(&host, &["--machine=q35"])["kernel_arguments"], serde_json::json!([]));

    let check = |options: &[&str]| {
        let output = host.credimg().args(["check", "secrets.yaml"]).args(options).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        (stdout(&output), stderr(&output))
    };
    let (table, warning) = check(&["--machine=s390-ccw-virtio"]);
    let length = MOUNTS.join(" ").len();
    let row =
        format!("\nsystemd.mount-extra  mount   {length}    kernel   it tells the guest where");
    assert!(table.contains(&row), "{table}");
    assert_eq!(warning, expected);
    let (table, warning) = check(&["--machine=microvm"]);
    assert!(
        table.contains("\na            inline  5      fw_cfg   it fits a fw_cfg item\n"),
        "{table}"
    );
    assert_eq!(warning, "");
}

/// Words with a UUID that the next build replaces would keep the guest from its disk.
#[test]
fn the_words_for_the_kernel_last_longer_than_a_build() {
    let host = Host::new("files: [{path: /a, text: x}]\nmount: /run/secrets\n");
    let machine = "--machine=pseries";
    let expected = "nothing tells the guest to mount the disk, which has no label and is another one \
                    after each build: give it a label, for words on the guest's kernel command line";
    let expected = format!("credimg: warning: {expected}\n");
    let check = host.credimg().args(["check", "secrets.yaml", machine]).output().unwrap();
    assert_eq!(stderr(&check), expected);
    assert!(!stdout(&check).contains("mount-extra"), "{}", stdout(&check));
    assert_eq!(stderr(&host.build(&[machine, "--quiet"])), expected);
    assert_eq!(built(&host, &[machine])["kernel_arguments"], serde_json::json!([]));

    let uuid = "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81";
    for (options, what) in [
        (&["--uuid", uuid][..], &*format!("UUID={uuid}")),
        (&["--label=A"], "LABEL=A"),
        (&["--format=squashfs"], "/dev/disk/by-id/virtio-out"),
    ] {
        let report = built(&host, &[&[machine], options].concat());
        let words = report["kernel_arguments"][0].as_str().unwrap();
        assert!(words.starts_with(&format!("systemd.mount-extra={what}:/run/")), "{words}");
    }
}

#[test]
fn the_guest_may_name_its_machine() {
    let host = Host::new(MANIFEST);
    for options in [
        &["--guest=systemd=257,machine=microvm,pcie=on"][..],
        &["--guest=machine=microvm", "--machine=microvm"],
    ] {
        let report = built(&host, options);
        assert_eq!(channels(&report)["fw_cfg"], 1, "{options:?}");
        let output = host.credimg().args(["check", "secrets.yaml"]).args(options).output().unwrap();
        assert!(stdout(&output).contains("  fw_cfg   it fits"), "{}", stdout(&output));
    }
    for machine in ["--machine=pc-i440fx-9.0", "--machine=q35", "--machine=virt-uefi"] {
        built(&host, &["--target=proxmox", machine]);
    }
    for (options, expected) in [
        (&["--guest=machine=virt", "--machine=pc"][..], "--machine and --guest name two machines"),
        (&["--target=firecracker", "--machine=microvm"], "firecracker has no machine type microvm"),
        (&["--target=crosvm", "--guest=machine=q35"], "crosvm has no machine type q35"),
        (&["--target=proxmox", "--machine=microvm"], "proxmox has no machine type microvm"),
        (
            &["--target=proxmox", "--guest=machine=s390-ccw-virtio"],
            "proxmox has no machine type s390-ccw-virtio",
        ),
        (&["--target=proxmox", "--machine=pseries-9.2"], "proxmox has no machine type pseries"),
        (
            &["--guest=machine=raspi3b"],
            "--guest: machine: expected pc, q35, microvm, virt, virt-uefi, s390-ccw-virtio, \
             pseries or a name with a version",
        ),
    ] {
        assert_eq!(refused(&host.build(options)), (2, expected.to_owned()));
        let check = host.credimg().args(["check", "secrets.yaml"]).args(options).output().unwrap();
        assert_eq!(refused(&check), (2, expected.to_owned()));
    }
}

/// Files that a build for another machine has left are not printed for one that lacks them.
#[test]
fn arguments_hold_nothing_that_the_machine_lacks() {
    let host = Host::new(MANIFEST);
    let args = |options: &[&str]| {
        host.credimg().args(["args", "out.erofs"]).args(options).output().unwrap()
    };
    built(&host, &["--machine=q35"]);
    let expected = "microvm carries no credentials by smbios: it has no SMBIOS tables";
    assert_eq!(refused(&args(&["--machine=microvm"])), (2, expected.to_owned()));
    assert!(args(&["--machine=virt-uefi"]).status.success());
    built(&host, &["--machine=microvm"]);
    let expected =
        "pseries carries no credentials by fw_cfg: it has neither SMBIOS tables nor fw_cfg";
    assert_eq!(refused(&args(&["--machine=pseries"])), (2, expected.to_owned()));
    let printed = stdout(&args(&["--machine=microvm"]));
    assert!(printed.contains("-device virtio-blk-device,") && printed.contains("-fw_cfg "));
    assert!(!printed.contains("-smbios"), "{printed}");
}

#[test]
fn a_microvm_has_no_bus_of_pci() {
    let host = Host::new(MANIFEST);
    for bus in ["usb", "nvme"] {
        let output = host.build(&["--machine=microvm", "--bus", bus]);
        let expected = "a microvm without PCI has no such bus";
        assert_eq!(refused(&output), (2, expected.to_owned()));
        assert!(!host.path("out.erofs").exists());
    }
}

/// QEMU starts with what is printed, in every style, and has the drive on the bus.
#[test]
fn a_microvm_starts_with_its_disk_on_every_bus() {
    // As many items as are ever planned.
    let many = manifest((0..17).map(|n| credential(&format!("c{n}"), b"v", "fw_cfg")));
    let host = Host::new(&many);
    for (machine, buses) in [
        ("microvm", &["virtio", "scsi", "cdrom"][..]),
        ("microvm,pcie=on", &["virtio", "scsi", "usb", "nvme", "cdrom", "sata"]),
    ] {
        for bus in buses {
            let styles: &[_] =
                if *bus == "virtio" { &["shell", "blockdev", "readconfig"] } else { &["shell"] };
            for style in styles {
                let output =
                    host.build(&["-q", "--machine", machine, "--bus", bus, "--args", style]);
                assert!(output.status.success(), "{}", stderr(&output));
                fs::write(host.path("arguments"), &output.stdout).unwrap();
                let tree = qtree(&host, machine, *style == "readconfig");
                let is_there = tree.contains("serial = \"chimera\"");
                assert!(is_there, "{machine} {bus} {style}: {tree}");
            }
        }
    }
}

/// The tree of devices of a QEMU that is given the printed `arguments` and never runs.
fn qtree(host: &Host, machine: &str, is_file: bool) -> String {
    let arguments = if is_file { "-readconfig arguments" } else { "$(cat arguments)" };
    let script = format!(
        "eval \"exec qemu-system-x86_64 -M {machine} -accel tcg -m 32 -nodefaults -display none \
         -S -monitor stdio {arguments}\""
    );
    let mut qemu = Command::new("sh")
        .args(["-c", &script])
        .current_dir(host.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    qemu.stdin.take().unwrap().write_all(b"info qtree\nquit\n").unwrap();
    let output = qemu.wait_with_output().unwrap();
    assert!(output.status.success(), "{machine}: {}", stderr(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Strings in files of their own are for SMBIOS alone: the form does not hinder fw_cfg.
#[test]
fn the_form_of_oem_strings_does_not_matter_to_fw_cfg() {
    let means = Means { form: SmbiosForm::Path, ..means("virt", Monitor::Qemu) };
    assert_eq!(names(&planned(AUTO, &[Some(5); 2], &means).unwrap()), ["fw_cfg"; 2]);
}
