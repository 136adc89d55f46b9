//! The monitors beside QEMU: what each is given is judged by its own tools where
//! there are any (libvirt's validation and parser, Perl's shell words), else by
//! a second reading of its grammar, and every channel that one cannot carry
//! safely is refused.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use credimg::report::{Exit, Failure};
use credimg::vm::{
    Bus, CredentialFile, Drive, DriveId, FwCfgItem, Machine, PublicCredential, Serial, SmbiosFile,
    cloud_hypervisor, crosvm, firecracker, libvirt, proxmox, vmspawn,
};
use serde_json::Value;

type Render = fn(&Machine) -> Result<Vec<u8>, Failure>;

/// Every renderer, with its target's name and the bus of its drive.
const TARGETS: [(&str, Render, Bus); 6] = [
    ("libvirt", libvirt::render, Bus::Virtio),
    ("proxmox", proxmox::render, Bus::Virtio),
    ("vmspawn", vmspawn::render, Bus::Cdrom),
    ("cloud-hypervisor", cloud_hypervisor::render, Bus::Virtio),
    ("crosvm", crosvm::render, Bus::Virtio),
    ("firecracker", firecracker::render, Bus::Virtio),
];

#[test]
fn every_target_looks_as_documented() {
    for (name, render, bus) in TARGETS {
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
            "vmspawn" => {
                let credential = |name: &str| CredentialFile {
                    name: name.to_owned(),
                    file: format!("/vm/it's {name}").into(),
                };
                firmware.credentials = vec![credential("api.token"), credential("b")];
            }
            _ => {}
        }
        if !matches!(name, "crosvm" | "firecracker") {
            firmware.public = vec![fstab()];
        }
        let text = String::from_utf8(render(&machine).unwrap()).unwrap();
        let golden = Path::new("testdata/targets").join(format!("{name}.txt"));
        let expected = fs::read_to_string(&golden).unwrap();
        assert_eq!(text, expected, "{}", golden.display());
    }
}

#[test]
fn a_machine_without_anything_is_nothing() {
    for (name, render, _) in TARGETS {
        assert_eq!(render(&Machine::default()).unwrap(), b"", "{name}");
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
    let cases: [(&str, Give, &str, &str); 15] = [
        (
            "libvirt",
            smbios,
            "cannot carry credentials by smbios: it puts OEM strings on QEMU's command line, which \
             every user of the host can read",
            "in the manifest write `via: disk` or `via: fw_cfg`",
        ),
        ("libvirt", files, NO_FILES, DISK),
        ("proxmox", files, NO_FILES, DISK),
        (
            "vmspawn",
            smbios,
            "cannot carry credentials by smbios: it loads them from files itself",
            DISK,
        ),
        (
            "vmspawn",
            fw_cfg,
            "cannot carry credentials by fw_cfg: it chooses between SMBIOS and fw_cfg itself: ask \
             for `smbios`",
            "in the manifest write `via: disk` or `via: smbios`",
        ),
        ("cloud-hypervisor", smbios, OEM_STRINGS, DISK),
        ("cloud-hypervisor", fw_cfg, NO_FW_CFG, DISK),
        ("cloud-hypervisor", files, NO_FILES, DISK),
        ("crosvm", smbios, OEM_STRINGS, DISK),
        ("crosvm", fw_cfg, NO_FW_CFG, DISK),
        (
            "crosvm",
            public,
            "cannot carry the credential fstab.extra: its option for OEM strings is not the same \
             in every release",
            FSTAB,
        ),
        (
            "firecracker",
            smbios,
            "cannot carry credentials by smbios: it has no SMBIOS tables",
            DISK,
        ),
        ("firecracker", fw_cfg, NO_FW_CFG, DISK),
        ("firecracker", files, NO_FILES, DISK),
        (
            "firecracker",
            public,
            "cannot carry the credential fstab.extra: it has no SMBIOS tables",
            FSTAB,
        ),
    ];
    for (target, give, message, hint) in cases {
        let mut machine = Machine::default();
        give(&mut machine);
        let (_, render, _) = TARGETS.into_iter().find(|(name, ..)| *name == target).unwrap();
        let failure = render(&machine).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.message, format!("{target} {message}"));
        assert_eq!(failure.hint.unwrap(), hint, "{target}");
    }
}

/// Gives a machine something by a channel.
type Give = fn(&mut Machine);

const NO_FILES: &str = "loads no credentials from files of their own";
const OEM_STRINGS: &str = "cannot carry credentials by smbios: it takes OEM strings on its command \
                           line only, which every user of the host can read";
const NO_FW_CFG: &str = "cannot carry credentials by fw_cfg: it has no firmware configuration \
                         device that every release carries";
const DISK: &str = "in the manifest write `via: disk`";
const FSTAB: &str =
    "leave it out, and let the guest mount the disk by its own fstab or a mount unit";

#[test]
fn a_bus_without_a_read_only_drive_is_refused() {
    let all = [Bus::Virtio, Bus::Scsi, Bus::Usb, Bus::Nvme, Bus::Cdrom];
    for (name, render, _) in TARGETS {
        let possible: &[Bus] = match name {
            "libvirt" => &[Bus::Virtio, Bus::Usb],
            "proxmox" => &[Bus::Virtio, Bus::Scsi],
            "vmspawn" => &[Bus::Cdrom],
            _ => &[Bus::Virtio],
        };
        for bus in all {
            let outcome = render(&with_disk("/vm/a.erofs", bus));
            assert_eq!(outcome.is_ok(), possible.contains(&bus), "{name} {bus:?}");
        }
    }
    let failure = libvirt::render(&with_disk("/vm/a.erofs", Bus::Nvme)).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert_eq!(failure.message, "libvirt cannot attach a read-only drive by the bus nvme");
    assert_eq!(failure.hint.unwrap(), "use --bus virtio or --bus usb");
    let failure = vmspawn::render(&with_disk("/vm/a.erofs", Bus::Virtio)).unwrap_err();
    assert_eq!(
        failure.message,
        "vmspawn attaches every drive but a CD-ROM writable: the guest could change the image"
    );
}

/// Finds the path in what a target prints.
type Read = fn(&str) -> String;

/// Each target either gives back the very path by its own grammar, or refuses
/// it: no path becomes another one, or an option.
#[test]
fn every_path_arrives_as_it_is_or_is_refused() {
    let read_back: [(&str, Read, usize); 5] = [
        ("proxmox", proxmox_path, 14),
        ("vmspawn", vmspawn_path, 6),
        ("cloud-hypervisor", cloud_hypervisor_path, 0),
        ("crosvm", crosvm_path, 0),
        ("firecracker", firecracker_path, 0),
    ];
    for (name, path_of, refusals) in read_back {
        let (_, render, bus) = TARGETS.into_iter().find(|(target, ..)| *target == name).unwrap();
        let mut refused = Vec::new();
        for path in odd_paths() {
            match render(&with_disk(&path, bus)) {
                Ok(text) => {
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(path_of(&text), path.to_str().unwrap(), "{name}");
                }
                Err(failure) => {
                    assert_eq!(failure.exit, Exit::Usage);
                    refused.push(path);
                }
            }
        }
        assert_eq!(refused.len(), refusals, "{name}: {refused:?}");
    }
}

/// All odd paths stand in one domain, each as an item of `fw_cfg` and as a disk's image.
#[test]
fn libvirt_accepts_the_elements_and_reads_the_same_paths() {
    let carried: Vec<_> = odd_paths()
        .into_iter()
        .filter(|path| libvirt::render(&with_disk(path, Bus::Virtio)).is_ok())
        .collect();
    assert_eq!(odd_paths().len() - carried.len(), 6, "refused paths");
    let mut machine = Machine::default();
    let item = |(index, file): (usize, &PathBuf)| FwCfgItem {
        name: format!("opt/io.systemd.credentials/{index}.-_@#,;=%"),
        file: file.clone(),
    };
    machine.firmware.fw_cfg = carried.iter().enumerate().map(item).collect();
    machine.firmware.public = vec![fstab()];
    let sysinfo = String::from_utf8(libvirt::render(&machine).unwrap()).unwrap();
    let disk = |(index, path): (usize, &PathBuf)| {
        let bus = if index % 2 == 0 { Bus::Virtio } else { Bus::Usb };
        let disk = String::from_utf8(libvirt::render(&with_disk(path, bus)).unwrap()).unwrap();
        // A domain has each place once.
        disk.replace("dev='vdz'", &format!("dev='vda{index}'"))
            .replace("dev='sdz'", &format!("dev='sda{index}'"))
    };
    let disks: String = carried.iter().enumerate().map(disk).collect();

    let seen = libvirt_reads(&sysinfo, &disks);
    let paths: Vec<_> = carried.iter().map(|path| path.to_str().unwrap()).collect();
    let disks = seen["disks"].as_array().unwrap();
    let files: Vec<_> = disks.iter().map(|disk| disk["file"].as_str().unwrap()).collect();
    assert_eq!(sorted(files), sorted(paths.clone()));
    for disk in disks {
        assert_eq!(disk["serial"], "chimera");
        assert_eq!((&disk["readonly"], &disk["type"]), (&true.into(), &"raw".into()));
    }
    let entries = seen["entries"].as_array().unwrap();
    let (last, entries) = entries.split_last().unwrap();
    assert_eq!(last[0], "opt/io.systemd.credentials/fstab.extra");
    assert_eq!(last[2], fstab().value);
    assert_eq!(entries.iter().map(|entry| entry[1].as_str().unwrap()).collect::<Vec<_>>(), paths);
    for (entry, item) in entries.iter().zip(&machine.firmware.fw_cfg) {
        assert_eq!(entry[0], item.name.as_str());
    }
}

/// The elements as they are printed, for one drive on each bus.
#[test]
fn libvirt_accepts_what_is_printed() {
    for bus in [Bus::Virtio, Bus::Usb] {
        let disk = libvirt::render(&with_disk("/vm/chimera.erofs", bus)).unwrap();
        let seen = libvirt_reads("", std::str::from_utf8(&disk).unwrap());
        assert_eq!(seen["disks"][0]["file"], "/vm/chimera.erofs");
    }
}

#[test]
fn libvirt_gets_no_name_that_it_would_store_wrongly() {
    let mut machine = Machine::default();
    for character in ['&', '<', '>', '\'', '"'] {
        let name = format!("opt/io.systemd.credentials/a{character}b");
        machine.firmware.fw_cfg = vec![FwCfgItem { name, file: "/vm/a".into() }];
        let failure = libvirt::render(&machine).unwrap_err();
        assert_eq!(
            failure.message,
            "libvirt cannot carry a fw_cfg item whose name holds one of & < > ' \""
        );
    }
}

#[test]
fn a_path_that_cannot_be_carried_is_named() {
    for (name, render, path, expected) in [
        ("libvirt", libvirt::render as Render, "a.erofs", "the path a.erofs: it is not absolute"),
        ("libvirt", libvirt::render, "/a\nb", "the path \"/a\\nb\": it holds a control character"),
        (
            "proxmox",
            proxmox::render,
            "/a,ro=0",
            "the path /a,ro=0: it holds a comma or something else that is not printable ASCII, or \
             ends in a space",
        ),
        ("crosvm", crosvm::render, "", "the path : it is empty or holds a NUL byte"),
    ] {
        let failure = render(&with_disk(path, Bus::Virtio)).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.message, format!("{name} cannot carry {expected}"));
        assert_eq!(failure.hint.unwrap(), "use another path");
    }
}

#[test]
fn proxmox_splits_the_firmware_arguments_as_they_were() {
    let mut machine = Machine::default();
    for path in odd_paths() {
        let one = SmbiosFile::Structure(path.clone());
        machine.firmware.smbios = vec![one.clone()];
        let Ok(text) = proxmox::render(&machine) else { continue };
        let options = shell_words(std::str::from_utf8(&text).unwrap());
        assert_eq!(options[0], "--args");
        let arguments = perl_words(&options[1]);
        let path = path.to_str().unwrap().replace(',', ",,");
        assert_eq!(arguments, ["-smbios".to_owned(), format!("file={path}")]);
    }
    machine.firmware.smbios = vec![SmbiosFile::Structure("/a b".into())];
    assert_eq!(
        proxmox::render(&machine).unwrap_err().message,
        "proxmox cannot carry the path /a b: it holds a space, a quote, a backslash or something \
         that is not ASCII"
    );
}

#[test]
fn vmspawn_gets_public_values_by_its_escapes() {
    let mut machine = Machine::default();
    let value = "a\\b\nc\td 'e' \"f\" \u{e9}".to_owned();
    machine.firmware.public = vec![PublicCredential { name: "motd".into(), value }];
    let text = vmspawn::render(&machine).unwrap();
    let words = shell_words(std::str::from_utf8(&text).unwrap());
    assert_eq!(words, ["--set-credential=motd:a\\\\b\\nc\\x09d 'e' \"f\" \u{e9}"]);
}

/// The whole way: a manifest with credentials, for every target, and the same
/// again from the image alone. No target gets a value on its command line.
#[test]
fn a_build_gives_each_target_what_it_carries() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "label: CHIMERA\ncredentials:\n- {name: token, text: c4n4ry}\n\
                    - {name: large, text: c4n4ry, via: disk}\n";
    fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
    let image = directory.path().join("a.erofs");
    let image = image.to_str().unwrap();
    let credimg = |arguments: &[&str], target: &str, bus: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.args(arguments).args(["--target", target, "--bus", bus]);
        let output = command.current_dir(directory.path()).output().unwrap();
        assert!(output.status.success(), "{target}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let expected: [(&str, &str, Vec<String>); 4] = [
        ("libvirt", "virtio", vec![format!("file='{image}.fw_cfg.fstab.extra'")]),
        ("proxmox", "virtio", vec![format!("--args '-smbios file={image}.smbios'")]),
        (
            "vmspawn",
            "cdrom",
            vec![
                format!("--load-credential=token:{image}.credential.token "),
                format!("--load-credential=fstab.extra:{image}.credential.fstab.extra "),
                format!("--extra-drive=raw:scsi-cd:{image}"),
            ],
        ),
        (
            "cloud-hypervisor",
            "virtio",
            vec!["oem_strings=[io.systemd.credential.binary:fstab.extra=".to_owned()],
        ),
    ];
    for (target, bus, parts) in expected {
        let build = ["build", "secrets.yaml", "-o", "a.erofs", "--quiet"];
        let text = credimg(&build, target, bus);
        for part in parts {
            assert!(text.contains(&part), "{target}: {text}");
        }
        assert!(!text.contains("c4n4ry") && !text.contains("YzRuNHJ5"), "{target}: {text}");
        if target != "cloud-hypervisor" {
            // Credentials that are an argument are in no file.
            assert_eq!(credimg(&["args", "a.erofs"], target, bus), text, "{target}");
        }
        assert_eq!(credimg(&[&build[..], &["--args", "none"]].concat(), target, bus), "");
    }
}

/// What has no place for an argument gets the disk all the same, and people are told.
#[test]
fn a_target_that_cannot_tell_the_guest_where_to_mount_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "label: CHIMERA\ncredentials: [{name: token, text: x}]\n";
    fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
    for target in ["crosvm", "firecracker"] {
        for (image, told) in
            [("a.erofs", ""), ("a.sqfs", "makes up the disk's serial, and the image has no label")]
        {
            let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
            command.args(["build", "secrets.yaml", "-o", image, "--target", target]);
            let output = command.current_dir(&directory).output().unwrap();
            assert!(output.status.success(), "{target}: {output:?}");
            assert!(String::from_utf8(output.stdout).unwrap().contains(image), "{target}");
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(text.contains(&format!(
                "credimg: warning: {target} cannot tell the guest to mount the disk: `credimg \
                 guest-unit` prints units for it\n"
            )));
            assert_eq!(text.contains("by-id"), target == "crosvm" && image == "a.sqfs", "{text}");
            assert!(target == "crosvm" || text.contains(told), "{text}");
        }
    }
}

#[test]
fn styles_are_qemus_own() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("secrets.yaml"), "files: []\n").unwrap();
    for (target, ..) in TARGETS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.args(["build", "secrets.yaml", "-o", "a.erofs", "--args", "json"]);
        command.args(["--bus", if target == "vmspawn" { "cdrom" } else { "virtio" }]);
        let output = command.args(["--target", target]).current_dir(&directory).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            text.lines().next().unwrap(),
            format!("credimg: error: the styles of --args are not those of {target}")
        );
        assert!(!directory.path().join("a.erofs").exists(), "{target}");
    }
}

fn with_disk(path: impl AsRef<Path>, bus: Bus) -> Machine {
    let serial = Serial::new("chimera").unwrap();
    let id = DriveId::from_serial(&serial);
    let path = path.as_ref().to_owned();
    Machine { drive: Some(Drive { id, serial, path, bus }), ..Machine::default() }
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

/// What `eval` of a shell makes of a line.
fn shell_words(line: &str) -> Vec<String> {
    let script = "eval \"set -- $1\"; printf '%s\\0' \"$@\"";
    words(Command::new("sh").args(["-c", script, "sh", line]))
}

/// What Proxmox VE makes of `args`.
fn perl_words(line: &str) -> Vec<String> {
    let script = "print map { \"$_\\0\" } shellwords($ARGV[0])";
    words(Command::new("perl").args(["-MText::ParseWords", "-e", script, "--", line]))
}

fn words(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn proxmox_path(text: &str) -> String {
    let words = shell_words(text);
    assert_eq!(words[0], "--virtio15");
    let pairs: Vec<_> = words[1].split(',').map(|pair| pair.split_once('=').unwrap()).collect();
    let [("file", path), rest @ ..] = &pairs[..] else { panic!("{pairs:?}") };
    let expected = [
        ("format", "raw"),
        ("ro", "1"),
        ("serial", "chimera"),
        ("backup", "0"),
        ("replicate", "0"),
    ];
    assert_eq!(rest, expected);
    (*path).to_owned()
}

fn vmspawn_path(text: &str) -> String {
    let words = shell_words(text);
    assert_eq!(words.len(), 1);
    words[0].strip_prefix("--extra-drive=raw:scsi-cd:").unwrap().to_owned()
}

/// Splits at commas outside of quotes and brackets; a doubled quote is one.
fn cloud_hypervisor_path(text: &str) -> String {
    let words = shell_words(text);
    assert_eq!(words[0], "--disk");
    let (mut values, mut is_quoted, mut brackets) = (vec![String::new()], false, 0);
    for character in words[1].trim().chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            '[' if !is_quoted => brackets += 1,
            ']' if !is_quoted => brackets -= 1,
            ',' if !is_quoted && brackets == 0 => {
                values.push(String::new());
                continue;
            }
            _ => {}
        }
        values.last_mut().unwrap().push(character);
    }
    assert!(!is_quoted && brackets == 0, "{text}");
    assert_eq!(values[1..], ["readonly=on", "serial=chimera", "image_type=raw"]);
    let value = values[0].strip_prefix("path=").unwrap().trim();
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => value.to_owned(),
    }
}

/// A value in double quotes has two escapes; a bare one ends at a comma.
fn crosvm_path(text: &str) -> String {
    let words = shell_words(text);
    assert_eq!(words[0], "--block");
    let value = words[1].strip_prefix("path=").unwrap();
    let Some(quoted) = value.strip_prefix('"') else {
        let (path, rest) = value.split_once(',').unwrap();
        assert!(!path.contains(['"', '\'', '[', ']']), "{path}");
        assert_eq!(rest, "ro,id=chimera");
        return path.to_owned();
    };
    let (mut path, mut characters) = (String::new(), quoted.chars());
    loop {
        match characters.next().unwrap() {
            '"' => break,
            '\\' => {
                let escaped = characters.next().unwrap();
                assert!(matches!(escaped, '"' | '\\'), "{text}");
                path.push(escaped);
            }
            other => path.push(other),
        }
    }
    assert_eq!(characters.as_str(), ",ro,id=chimera");
    path
}

fn firecracker_path(text: &str) -> String {
    let drive: Value = serde_json::from_str(text).unwrap();
    assert_eq!(drive.as_object().unwrap().len(), 4);
    assert_eq!((&drive["is_read_only"], &drive["is_root_device"]), (&true.into(), &false.into()));
    assert_eq!(drive["drive_id"], "credimg_chimera");
    drive["path_on_host"].as_str().unwrap().to_owned()
}

fn sorted(mut paths: Vec<&str>) -> Vec<&str> {
    paths.sort_unstable();
    paths
}

/// Puts the elements into a whole domain, which libvirt validates and defines;
/// what it then holds.
fn libvirt_reads(sysinfo: &str, disks: &str) -> Value {
    let domain = format!(
        "<domain type='test'><name>chimera</name><memory>8192</memory>\
         <os><type arch='x86_64'>hvm</type></os>{sysinfo}<devices>{disks}</devices></domain>"
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chimera.xml");
    fs::write(&file, domain).unwrap();
    let output = Command::new("virt-xml-validate").arg(&file).arg("domain").output();
    let output = output.expect("virt-xml-validate starts; `make setup` installs it");
    assert!(output.status.success(), "{output:?}");

    let commands = format!("define --validate {}; dumpxml chimera", file.display());
    let mut virsh = Command::new("virsh");
    let output = virsh.args(["--quiet", "--connect", "test:///default", &commands]).output();
    let output = output.expect("virsh starts; `make setup` installs it");
    assert!(output.status.success(), "{output:?}");
    let start = output.stdout.windows(8).position(|window| window == b"<domain ").unwrap();
    let dump = directory.path().join("dump.xml");
    fs::write(&dump, &output.stdout[start..]).unwrap();
    let output = Command::new("python3").args(["-c", READ_DOMAIN]).arg(&dump).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

const READ_DOMAIN: &str = "
import json, sys, xml.etree.ElementTree as tree
domain = tree.parse(sys.argv[1]).getroot()
print(json.dumps({
    'disks': [{
        'file': disk.find('source').get('file'),
        'type': disk.find('driver').get('type'),
        'serial': disk.find('serial').text,
        'readonly': disk.find('readonly') is not None,
    } for disk in domain.findall('devices/disk')],
    'entries': [[e.get('name'), e.get('file'), e.text] for e in domain.findall('sysinfo/entry')],
}))";
