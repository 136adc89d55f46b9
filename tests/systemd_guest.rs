//! One boot of an unmodified Debian guest with systemd: a service that says
//! `ImportCredential=` and nothing else sees its credentials, by whichever channel
//! each came, and can read them nowhere else. `make setup` installs what this needs;
//! without it the test fails.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

const PROBE: &str = include_str!("systemd_guest/probe");
const SERVICE: &str = include_str!("systemd_guest/probe.service");

/// The lines that systemd adds to the guest's own fstab: the disk, and its
/// `credstore` where services look for their credentials.
const FSTAB: &str = "LABEL=CHIMERA /run/secrets erofs ro,nosuid,nodev,noexec 0 0\n\
                     /run/secrets/credstore /run/credstore none bind 0 0\n";

/// Where secrets can be read from besides the service's own directory.
const PLACES: [&str; 7] = [
    "/run/credstore",
    "/run/credstore/api.token",
    "/run/secrets",
    "/dev/disk/by-label/CHIMERA",
    "/dev/disk/by-id/virtio-chimera",
    "/sys/firmware/dmi/entries/11-0/raw",
    "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/api.firmware/raw",
];

/// Name and content of each credential; NUL cannot be in an OEM string.
fn credentials() -> [(&'static str, Vec<u8>); 4] {
    let every_byte: Vec<u8> = (0..=255).collect();
    [
        ("api.bytes", every_byte.repeat(17)),
        ("api.firmware", [&every_byte[..], b",\n\n"].concat()),
        ("api.oem", b"a,b,,c = d: \"e\"\n\n".to_vec()),
        ("api.token", b"demo-token\n".to_vec()),
    ]
}

#[test]
fn a_service_sees_its_credentials_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    write_tree(&tree);
    let arguments = attach(scratch.path());

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
    assert_eq!(stdout, expected_report(), "{}\n{stderr}", guest.status);
    assert!(guest.status.success(), "{}\n{stderr}", guest.status);
}

/// What the probe prints when all is well: root reads every place, so that each is
/// there and a refusal is one.
fn expected_report() -> String {
    let mut report = String::new();
    for place in PLACES {
        writeln!(report, "root reads {place}").unwrap();
    }
    for (name, content) in credentials() {
        writeln!(report, "credential {name} {}", digest(&content)).unwrap();
    }
    for place in PLACES {
        writeln!(report, "service is refused {place}").unwrap();
    }
    report
}

/// The service of the test, which the guest knows nothing of, and its start at boot.
fn write_tree(tree: &Path) {
    let units = tree.join("etc/systemd/system");
    fs::create_dir_all(units.join("multi-user.target.wants")).unwrap();
    fs::write(units.join("probe.service"), SERVICE).unwrap();
    symlink("../probe.service", units.join("multi-user.target.wants/probe.service")).unwrap();
    let programs = tree.join("usr/local/bin");
    fs::create_dir_all(&programs).unwrap();
    fs::write(programs.join("probe"), PROBE).unwrap();
    fs::set_permissions(programs.join("probe"), PermissionsExt::from_mode(0o755)).unwrap();
}

/// Makes what carries the credentials and returns the arguments, quoted for the
/// shell: the disk by the program, the other channels by hand.
fn attach(scratch: &Path) -> String {
    let credentials = credentials();
    let content = |name: &str| {
        let (_, content) = credentials.iter().find(|(other, _)| *other == name).unwrap();
        content.clone()
    };
    for name in ["api.bytes", "api.token", "api.firmware"] {
        fs::write(scratch.join(name), content(name)).unwrap();
    }
    let manifest = "label: CHIMERA\nfiles:\n\
                    - {path: /credstore/api.bytes, file: api.bytes}\n\
                    - {path: /credstore/api.token, file: api.token}\n";
    fs::write(scratch.join("secrets.yaml"), manifest).unwrap();
    let build = Command::new(env!("CARGO_BIN_EXE_credimg"))
        .args(["build", "secrets.yaml", "-o", "chimera.erofs", "--quiet"])
        .current_dir(scratch)
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));

    let strings = [
        [b"io.systemd.credential:fstab.extra=", FSTAB.as_bytes()].concat(),
        [b"io.systemd.credential:api.oem=", &content("api.oem")[..]].concat(),
    ];
    fs::write(scratch.join("smbios"), oem_strings(&strings)).unwrap();
    format!(
        "{} -smbios file=smbios \
         -fw_cfg name=opt/io.systemd.credentials/api.firmware,file=api.firmware",
        String::from_utf8(build.stdout).unwrap().trim_end()
    )
}

/// One structure of OEM strings (SMBIOS 3.6, 6.1.3 and 7.12): type, length of the
/// formatted part, handle, number of strings; then the strings, each and all ended
/// by NUL.
fn oem_strings(strings: &[Vec<u8>]) -> Vec<u8> {
    let count = u8::try_from(strings.len()).unwrap();
    let mut structure = vec![11, 5, 0x00, 0x0b, count];
    for string in strings {
        structure.extend(string);
        structure.push(0);
    }
    structure.push(0);
    structure
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
