//! The monitors beside QEMU: what each is given is judged by its own tools where
//! there are any (libvirt's validation and parser, Perl's shell words), else by
//! a second reading of its grammar, and every channel that one cannot carry
//! safely is refused.

mod libvirt;
mod paths;
mod program;
mod started;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use credimg::monitors::{
    Block, Bus, CredentialFile, Drive, DriveId, FwCfgItem, Machine, Monitor, Place,
    PublicCredential, Serial, SmbiosFile, Style, crosvm, proxmox, vmspawn,
};
use credimg::report::{Exit, Failure};
use serde_json::Value;

/// Every monitor but QEMU, whose arguments have tests of their own.
fn others() -> impl Iterator<Item = Monitor> {
    Monitor::all().iter().copied().filter(|monitor| *monitor != Monitor::Qemu)
}

fn other(name: &str) -> Monitor {
    others().find(|monitor| monitor.name() == name).unwrap()
}

fn render(monitor: Monitor, machine: &Machine) -> Result<Vec<u8>, Failure> {
    monitor.render(machine, Style::Shell)
}

#[test]
fn every_target_looks_as_documented() {
    for monitor in others() {
        let name = monitor.name();
        let bus = if name == "vmspawn" { Bus::Cdrom } else { Bus::Virtio };
        let mut machine = with_disk("/vm/chimera.erofs", bus);
        let firmware = &mut machine.firmware;
        let item = |name: &str, file: &str| FwCfgItem {
            name: format!("opt/io.systemd.credentials/{name}"),
            file: file.into(),
        };
        match name {
            "libvirt" => firmware.fw_cfg = vec![item("api.token", "/vm/token"), item("b", "/vm/b")],
            "proxmox" => {
                firmware.smbios = vec![
                    SmbiosFile::String("/vm/one".into()),
                    SmbiosFile::String("/vm/two,2".into()),
                ];
                firmware.fw_cfg = vec![item("api,token", "/vm/token")];
            }
            "cloud-hypervisor" => firmware.fw_cfg = vec![item("a", "/vm/it's"), item("b", "/vm/b")],
            "crosvm" => firmware.fw_cfg = vec![item("api,token", "/vm/to,ken"), item("b", "/vm/b")],
            "vmspawn" => {
                let credential = |name: &str| CredentialFile {
                    name: name.to_owned(),
                    file: format!("/vm/it's {name}").into(),
                };
                firmware.credentials = vec![credential("api.token"), credential("b")];
            }
            _ => {}
        }
        if monitor.carries_public(None) {
            firmware.public = vec![fstab()];
        }
        for style in [Style::Shell, Style::Api] {
            if monitor.prints_kernel_line(style) {
                machine.kernel_line = KERNEL_LINE.map(str::to_owned).to_vec();
            }
            let Ok(text) = monitor.render(&machine, style) else {
                assert_ne!(style, Style::Shell, "{name}");
                continue;
            };
            let end = if style == Style::Shell { "" } else { "-api" };
            let golden = Path::new("testdata/targets").join(format!("{name}{end}.txt"));
            let expected = fs::read_to_string(&golden).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), expected, "{}", golden.display());
        }
    }
}

#[test]
fn a_machine_without_anything_is_nothing() {
    for monitor in others() {
        assert_eq!(render(monitor, &Machine::default()).unwrap(), b"", "{}", monitor.name());
    }
}

#[test]
fn a_channel_that_is_not_private_is_refused_with_what_to_use_instead() {
    let smbios = |machine: &mut Machine| {
        machine.firmware.smbios = vec![SmbiosFile::Structure("/vm/s".into())];
    };
    let fw_cfg = |machine: &mut Machine| {
        let item = FwCfgItem { name: "opt/io.systemd.credentials/a".into(), file: "/vm/a".into() };
        machine.firmware.fw_cfg = vec![item];
    };
    let files = |machine: &mut Machine| {
        let file = CredentialFile { name: "a".into(), file: "/vm/a".into() };
        machine.firmware.credentials = vec![file];
    };
    let public = |machine: &mut Machine| machine.firmware.public = vec![fstab()];
    let cases: [(&str, Give, &str); 13] = [
        (
            "libvirt",
            smbios,
            "cannot carry credentials by smbios: it puts OEM strings on QEMU's command line, which \
             every user of the host can read",
        ),
        ("libvirt", files, NO_FILES),
        ("proxmox", files, NO_FILES),
        ("vmspawn", smbios, "cannot carry credentials by smbios: it loads them from files itself"),
        (
            "vmspawn",
            fw_cfg,
            "cannot carry credentials by fw_cfg: it chooses between SMBIOS and fw_cfg itself: ask \
             for `smbios`",
        ),
        ("cloud-hypervisor", smbios, BY_API),
        ("cloud-hypervisor", files, NO_FILES),
        ("crosvm", smbios, OEM_STRINGS),
        (
            "crosvm",
            public,
            "cannot carry the credential fstab.extra: its option for OEM strings is not the same \
             in every release",
        ),
        ("firecracker", smbios, "cannot carry credentials by smbios: it has no SMBIOS tables"),
        ("firecracker", fw_cfg, "cannot carry credentials by fw_cfg: it has no fw_cfg device"),
        ("firecracker", files, NO_FILES),
        ("firecracker", public, "cannot carry the credential fstab.extra: it has no SMBIOS tables"),
    ];
    for (target, give, message) in cases {
        let mut machine = Machine::default();
        give(&mut machine);
        let failure = render(other(target), &machine).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.message, format!("{target} {message}"));
        let build =
            format!("build the image with --target {target}: `via: auto` then goes another way");
        let is_public = !machine.firmware.public.is_empty();
        let hint = if is_public { FSTAB.to_owned() } else { build };
        assert_eq!(failure.hint.unwrap(), hint, "{target}");
    }
}

const KERNEL_LINE: [&str; 2] = [
    r"systemd.mount-extra=LABEL=CHI\x3aMERA:/run/secrets:erofs:ro,nosuid",
    "systemd.mount-extra=/run/secrets/credstore:/run/credstore:none:bind",
];

/// Gives a machine something by a channel.
type Give = fn(&mut Machine);

const NO_FILES: &str = "loads no credentials from files of their own";
const OEM_STRINGS: &str = "cannot carry credentials by smbios: OEM strings would stand in its \
                           arguments, which every user of the host can read";
const BY_API: &str = "cannot carry credentials by smbios: OEM strings would stand in its arguments, \
                      which every user of the host can read: --args api keeps them in a file";
const FSTAB: &str =
    "leave it out, and let the guest mount the disk by its own fstab or a mount unit";

#[test]
fn a_bus_without_a_read_only_drive_is_refused() {
    let all = [Bus::Virtio, Bus::Scsi, Bus::Usb, Bus::Nvme, Bus::Cdrom, Bus::Sata];
    for monitor in others() {
        let name = monitor.name();
        let possible: &[Bus] = match name {
            "libvirt" => &[Bus::Virtio, Bus::Usb, Bus::Sata],
            "proxmox" => &[Bus::Virtio, Bus::Scsi, Bus::Cdrom, Bus::Sata],
            "vmspawn" => &[Bus::Virtio, Bus::Scsi, Bus::Nvme, Bus::Cdrom],
            "cloud-hypervisor" | "crosvm" | "firecracker" => &[Bus::Virtio],
            _ => monitor.buses(),
        };
        for bus in all {
            let outcome = render(monitor, &with_disk("/var/lib/storage/a_b-1.volume", bus));
            assert_eq!(outcome.is_ok(), possible.contains(&bus), "{name} {bus:?}");
        }
    }
    let failure = render(Monitor::Libvirt, &with_disk("/vm/a.erofs", Bus::Nvme)).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert_eq!(failure.message, "libvirt cannot attach a read-only drive by the bus nvme");
    assert_eq!(failure.hint.unwrap(), "use --bus virtio or --bus usb or --bus sata");
    let failure = vmspawn::render(&with_disk("/vm/a.erofs", Bus::Virtio)).unwrap_err();
    assert_eq!(
        failure.message,
        "vmspawn attaches every drive writable but a CD-ROM and a volume of /var/lib/storage: the \
         guest could change the image"
    );
    for (path, bus, expected) in [
        ("/var/lib/storage/a_b-1.volume", Bus::Virtio, "fs:a_b-1:virtio-blk:read-only=yes"),
        ("/var/lib/storage/a.volume", Bus::Scsi, "fs:a:virtio-scsi:read-only=yes"),
        ("/var/lib/storage/a.volume", Bus::Nvme, "fs:a:nvme:read-only=yes"),
    ] {
        let text = vmspawn::render(&with_disk(path, bus)).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), format!("--bind-volume={expected}\n"));
    }
    for path in ["/var/lib/storage/a.b.volume", "/var/lib/storage/a/b.volume", "/vm/a.volume"] {
        assert!(vmspawn::render(&with_disk(path, Bus::Virtio)).is_err(), "{path}");
    }
}

fn with_disk(path: impl AsRef<Path>, bus: Bus) -> Machine {
    let serial = Serial::new("chimera").unwrap();
    let id = DriveId::from_serial(&serial);
    let path = path.as_ref().to_owned();
    Machine {
        drive: Some(Drive {
            id,
            serial,
            path,
            descriptor: None,
            bus,
            place: Place::default(),
            block: Block::Page,
            machine_type: None,
            key: None,
        }),
        ..Machine::default()
    }
}

fn fstab() -> PublicCredential {
    let value = "LABEL=CHIMERA /run/secrets erofs ro,nosuid 0 0\n\
                 /run/secrets/credstore /run/credstore none bind 0 0\n";
    PublicCredential { name: "fstab.extra".into(), value: value.into() }
}

/// Absolute paths: one for every ASCII character but NUL and slash, then what
/// looks like an option, a format or an escape.
fn odd_paths() -> Vec<PathBuf> {
    let printable = (b' '..=b'~').map(char::from).filter(|character| *character != '/');
    let single = printable.map(|character| format!("/vm/a{character}b"));
    let edges = [
        "/a.erofs",
        "/ a",
        "/a ",
        "/a\tb",
        "/a\nb",
        "/a\rb",
        "/a\u{1}b",
        "/a\u{7f}b",
        "/é/日本",
        "/a,ro=0",
        "/a,,b",
        "/a=b,c=d",
        "/\"",
        "/\"\"",
        "/a\"b,c\"d",
        "/a\\\"b",
        "/[a,b]",
        "/it's",
        "/raw:a",
        "/a:qcow2",
        "/a\\",
        "/$(id)",
        "/%s",
        "/a&amp;b",
        "/<!--",
        "/]]>",
        "/\u{fffe}",
    ];
    single.chain(edges.map(str::to_owned)).map(PathBuf::from).collect()
}
