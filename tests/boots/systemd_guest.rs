//! Boots of an unmodified Debian guest with systemd: a service that says
//! `ImportCredential=` and nothing else sees every credential of the manifest, by
//! whichever channel each came, and can read them nowhere else. The guest is given
//! nothing but the arguments that the program printed. `make setup` installs what this
//! needs; without it the test fails.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const PROBE: &str = include_str!("systemd_guest/probe");
const CLOSED: &str = include_str!("systemd_guest/closed");
const EMERGENCY: &str = include_str!("systemd_guest/emergency.service");
const SERVICE: &str = include_str!("systemd_guest/probe.service");

/// A manifest, and where its secrets can be read from in the guest besides the
/// service's own directory.
struct Case {
    image: &'static str,
    /// What stands in the manifest before the credentials.
    head: &'static str,
    options: &'static [&'static str],
    /// Whether the arguments are a file for `-readconfig`, which carries no OEM strings, and
    /// the guest has the units of `guest-unit` instead.
    has_units: bool,
    places: &'static [&'static str],
}

impl Case {
    /// The credentials that can go to this guest.
    fn credentials(&self) -> Vec<(&'static str, &'static str, Vec<u8>)> {
        let mut credentials = credentials().to_vec();
        credentials.retain(|(_, channel, _)| !self.has_units || *channel != "smbios");
        credentials
    }
}

/// The disk is found by its label; its `credstore` is a part of it.
const EROFS: Case = Case {
    image: "chimera.erofs",
    head: "label: CHIMERA\nfiles: [{path: /extra, text: more}]\n",
    options: &[],
    has_units: false,
    places: &[
        "/run/credstore",
        "/run/credstore/api.bytes",
        "/run/secrets",
        "/run/secrets/extra",
        "/dev/disk/by-label/CHIMERA",
        "/dev/disk/by-id/virtio-chimera",
        OEM_STRINGS,
        FIRMWARE_ITEM,
    ],
};

/// The guest opens the disk by a key and a unit that both are credentials.
///
/// SquashFS, and mounted in place of the store: it holds credentials alone.
const ENCRYPTED: Case = Case {
    image: "chimera.squashfs",
    head: "label: CHIMERA\nencrypt: {luks: 2, key: generate}\nmount: /run/credstore\n",
    options: &["--key-out", "chimera.key"],
    has_units: false,
    places: &[
        "/run/credstore",
        "/run/credstore/api.bytes",
        "/dev/mapper/credimg-chimera",
        "/dev/disk/by-id/virtio-chimera",
        OEM_STRINGS,
        FIRMWARE_ITEM,
    ],
};

/// The guest opens the disk by its own units, with a passphrase that comes by fw_cfg.
const CRYPTTAB: Case = Case {
    image: "chimera.squashfs",
    head: "label: CHIMERA\nencrypt: {luks: 2, key: passphrase, sector_size: 512}\n\
           format: squashfs\nfiles: [{path: /extra, text: more}]\n",
    options: &["--args", "readconfig"],
    has_units: true,
    places: &["/run/credstore", "/run/secrets/extra", "/dev/mapper/credimg-chimera", FIRMWARE_KEY],
};

const FIRMWARE_KEY: &str =
    "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/luks.chimera/raw";
const OEM_STRINGS: &str = "/sys/firmware/dmi/entries/11-0/raw";
const FIRMWARE_ITEM: &str =
    "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/api.firmware/raw";

/// Name, channel and content of each credential; NUL cannot be in an OEM string.
fn credentials() -> [(&'static str, &'static str, Vec<u8>); 5] {
    let every_byte: Vec<u8> = (0..=255).collect();
    [
        // By OEM string, and too large for one.
        ("api.auto", "auto", b"demo-token\n".to_vec()),
        ("api.bytes", "auto", every_byte.repeat(300)),
        ("api.disk", "disk", b"on the disk,\n\n".to_vec()),
        ("api.firmware", "fw_cfg", [&every_byte[..], b",\n\n"].concat()),
        ("api.oem", "smbios", b"a,b,,c = d: \"e\"\n\n".to_vec()),
    ]
}

#[test]
fn a_service_sees_its_credentials_and_nothing_else() {
    boot(&EROFS);
}

#[test]
fn a_guest_opens_an_encrypted_disk_by_itself() {
    boot(&ENCRYPTED);
}

#[test]
fn a_guest_opens_an_encrypted_disk_by_its_own_units() {
    boot(&CRYPTTAB);
}

/// Two disks, of which one has the key of another image and one has none: the guest says
/// so, opens neither, mounts nothing, and stops before anything that needs them.
#[test]
fn a_wrong_or_a_missing_key_opens_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    let programs = tree.join("usr/local/bin");
    fs::create_dir_all(&programs).unwrap();
    fs::write(programs.join("closed"), CLOSED).unwrap();
    fs::set_permissions(programs.join("closed"), PermissionsExt::from_mode(0o755)).unwrap();
    let units = tree.join("etc/systemd/system");
    fs::create_dir_all(&units).unwrap();
    fs::write(units.join("emergency.service"), EMERGENCY).unwrap();

    let wrong = STANDARD.encode("0".repeat(64));
    let mut strings = Vec::new();
    let mut arguments = String::new();
    for (name, mount) in [("chimera", "/run/secrets"), ("medusa", "/run/others")] {
        let label = name.to_uppercase();
        let head = format!("label: {label}\nencrypt: {{luks: 2, key: generate}}\n");
        let manifest = format!("{head}mount: {mount}\nfiles: [{{path: /extra, text: more}}]\n");
        fs::write(scratch.path().join("secrets.yaml"), manifest).unwrap();
        let image = format!("{name}.erofs");
        let printed = credimg(scratch.path(), &image, &["--key-out", &format!("{name}.key")]);
        let drive = printed.split(" -smbios").next().unwrap();
        write!(arguments, "{drive} ").unwrap();
        let structure = fs::read(scratch.path().join(format!("{image}.smbios"))).unwrap();
        let text = String::from_utf8(structure[5..].to_vec()).unwrap();
        strings
            .extend(text.split_terminator('\0').filter(|text| !text.is_empty()).map(str::to_owned));
    }
    // One credential tells of both mounts, the first key is another one, the second is gone.
    let fstab = |string: &String| string.contains(":fstab.extra=");
    let lines = strings.iter().filter(|string| fstab(string));
    let lines: Vec<u8> = lines.flat_map(|string| STANDARD.decode(value(string)).unwrap()).collect();
    strings.retain(|string| !fstab(string) && !string.contains(":luks.medusa="));
    strings.push(format!("io.systemd.credential.binary:fstab.extra={}", STANDARD.encode(lines)));
    let key = strings.iter_mut().find(|string| string.contains(":luks.chimera=")).unwrap();
    assert_eq!(value(key).len(), wrong.len());
    *key = key.replace(value(&key.clone()), &wrong);
    let count = u8::try_from(strings.len()).unwrap();
    let text = strings.join("\0") + "\0\0";
    let structure = [&[0x0b, 5, 0, 0x0e, count], text.as_bytes()].concat();
    fs::write(scratch.path().join("structure"), structure).unwrap();

    let guest = guest(scratch.path(), &tree, &format!("{arguments} -smbios file=structure"));
    let stdout = String::from_utf8_lossy(&guest.stdout);
    let stderr = String::from_utf8_lossy(&guest.stderr);
    assert!(guest.status.success(), "{}\n{stdout}\n{stderr}", guest.status);
    for line in [
        "credimg-chimera.service: failed",
        "credimg-medusa.service: failed",
        "run-secrets.mount: inactive",
        "run-others.mount: inactive",
    ] {
        assert!(stdout.lines().any(|found| found == line), "{line} is missing:\n{stdout}");
    }
    for reason in ["(Key data incorrect?)", "luks.medusa' missing."] {
        assert!(stdout.contains(reason), "{reason} is missing:\n{stdout}");
    }
    assert!(!stdout.contains("credimg-chimera\n") && !stdout.contains("extra"), "{stdout}");
}

/// The value of an OEM string, in base64.
fn value(string: &str) -> &str {
    string.split_once('=').unwrap().1
}

fn boot(case: &Case) {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    write_tree(&tree, case);
    let mut arguments = build(scratch.path(), case);
    if case.has_units {
        fs::write(scratch.path().join("disk.cfg"), &arguments).unwrap();
        "-readconfig disk.cfg".clone_into(&mut arguments);
        write_units(&tree, scratch.path());
    }

    let guest = guest(scratch.path(), &tree, &arguments);

    let stdout = String::from_utf8_lossy(&guest.stdout);
    let stderr = String::from_utf8_lossy(&guest.stderr);
    assert_eq!(stdout, expected_report(case), "{}\n{stderr}", guest.status);
    assert!(guest.status.success(), "{}\n{stderr}", guest.status);
}

/// Boots the guest with `tree` laid over its root and these arguments, quoted for the shell.
fn guest(scratch: &Path, tree: &Path, arguments: &str) -> Output {
    Command::new("sh")
        .args(["-c", r#"eval "exec \"\$0\" \"\$1\" -- $2""#])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-systemd"))
        .arg(tree)
        .arg(arguments)
        .current_dir(scratch)
        .output()
        .unwrap()
}

/// What the probe prints when all is well: root reads every place, so that each is
/// there and a refusal is one.
fn expected_report(case: &Case) -> String {
    let mut report = String::new();
    for place in case.places {
        writeln!(report, "root reads {place}").unwrap();
    }
    for (name, _, content) in case.credentials() {
        writeln!(report, "credential {name} {}", digest(&content)).unwrap();
    }
    for place in case.places {
        writeln!(report, "service is refused {place}").unwrap();
    }
    report
}

/// The service of the test, which the guest knows nothing of, and its start at boot.
fn write_tree(tree: &Path, case: &Case) {
    let units = tree.join("etc/systemd/system");
    fs::create_dir_all(units.join("multi-user.target.wants")).unwrap();
    fs::write(units.join("probe.service"), SERVICE).unwrap();
    symlink("../probe.service", units.join("multi-user.target.wants/probe.service")).unwrap();
    let programs = tree.join("usr/local/bin");
    fs::create_dir_all(&programs).unwrap();
    fs::write(programs.join("probe"), PROBE).unwrap();
    fs::set_permissions(programs.join("probe"), PermissionsExt::from_mode(0o755)).unwrap();
    fs::create_dir_all(tree.join("usr/local/share")).unwrap();
    let places = case.places.join("\n") + "\n";
    fs::write(tree.join("usr/local/share/places"), places).unwrap();
}

/// Installs what `guest-unit` prints, each part behind a comment with its path, for the
/// service of the test.
fn write_units(tree: &Path, scratch: &Path) {
    let units = Command::new(env!("CARGO_BIN_EXE_credimg"))
        .args(["guest-unit", "secrets.yaml"])
        .current_dir(scratch)
        .output()
        .unwrap();
    assert!(units.status.success(), "{}", String::from_utf8_lossy(&units.stderr));
    let text = String::from_utf8(units.stdout).unwrap();
    for part in text.split("# /").skip(1) {
        let (path, content) = part.split_once('\n').unwrap();
        let path = tree.join(path.replace("SERVICE", "probe"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Builds the image and what goes beside it; returns the printed arguments, which are
/// quoted for the shell.
fn build(scratch: &Path, case: &Case) -> String {
    let mut manifest = format!("{}credentials:\n", case.head);
    fs::write(scratch.join("passphrase"), "correct horse battery staple").unwrap();
    fs::set_permissions(scratch.join("passphrase"), PermissionsExt::from_mode(0o600)).unwrap();
    for (name, channel, content) in case.credentials() {
        fs::write(scratch.join(name), content).unwrap();
        writeln!(manifest, "- {{name: {name}, file: {name}, via: {channel}}}").unwrap();
    }
    fs::write(scratch.join("secrets.yaml"), manifest).unwrap();
    credimg(scratch, case.image, case.options)
}

/// Builds `image` of the manifest in `scratch`; returns what is printed.
fn credimg(scratch: &Path, image: &str, options: &[&str]) -> String {
    let build = Command::new(env!("CARGO_BIN_EXE_credimg"))
        .args(["build", "secrets.yaml", "-o", image, "--quiet"])
        .args(options)
        .current_dir(scratch)
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    String::from_utf8(build.stdout).unwrap().trim_end().to_owned()
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
