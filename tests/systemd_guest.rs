//! Boots of an unmodified Debian guest with systemd: a service that says
//! `ImportCredential=` and nothing else sees every credential of the manifest, by
//! whichever channel each came, and can read them nowhere else. The guest is given
//! nothing but the arguments that the program printed. `make setup` installs what this
//! needs; without it the test fails.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

const PROBE: &str = include_str!("systemd_guest/probe");
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

/// The disk is found by its serial, and holds credentials alone.
const SQUASHFS: Case = Case {
    image: "chimera.squashfs",
    head: "label: CHIMERA\nmount: /run/credstore\n",
    options: &[],
    has_units: false,
    places: &[
        "/run/credstore",
        "/run/credstore/api.bytes",
        "/dev/disk/by-id/virtio-chimera",
        OEM_STRINGS,
        FIRMWARE_ITEM,
    ],
};

/// The guest opens the disk by a key and a unit that both are credentials.
const ENCRYPTED: Case = Case {
    image: "chimera.erofs",
    head: "label: CHIMERA\nencrypt: {luks: 2, key: generate}\n\
           files: [{path: /extra, text: more}]\n",
    options: &["--key-out", "chimera.key"],
    has_units: false,
    places: &[
        "/run/credstore",
        "/run/secrets/extra",
        "/dev/mapper/credimg-chimera",
        "/dev/disk/by-id/virtio-chimera",
        OEM_STRINGS,
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
fn a_squashfs_disk_mounted_as_the_credential_store_serves_as_well() {
    boot(&SQUASHFS);
}

#[test]
fn a_guest_opens_an_encrypted_disk_by_itself() {
    boot(&ENCRYPTED);
}

#[test]
fn a_guest_opens_an_encrypted_disk_by_its_own_units() {
    boot(&CRYPTTAB);
}

fn boot(case: &Case) {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    write_tree(&tree, case);
    let mut arguments = build(scratch.path(), case);
    if case.has_units {
        fs::write(scratch.path().join("disk.cfg"), arguments).unwrap();
        "-readconfig disk.cfg".clone_into(&mut arguments);
        write_units(&tree, scratch.path());
    }

    let guest = Command::new("sh")
        .args(["-c", r#"eval "exec \"\$0\" \"\$1\" -- $2""#])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-systemd"))
        .arg(&tree)
        .arg(arguments)
        .current_dir(scratch.path())
        .output()
        .unwrap();

    let stdout = String::from_utf8_lossy(&guest.stdout);
    let stderr = String::from_utf8_lossy(&guest.stderr);
    assert_eq!(stdout, expected_report(case), "{}\n{stderr}", guest.status);
    assert!(guest.status.success(), "{}\n{stderr}", guest.status);
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
    let build = Command::new(env!("CARGO_BIN_EXE_credimg"))
        .args(["build", "secrets.yaml", "-o", case.image, "--quiet"])
        .args(case.options)
        .current_dir(scratch)
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    String::from_utf8(build.stdout).unwrap().trim_end().to_owned()
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
