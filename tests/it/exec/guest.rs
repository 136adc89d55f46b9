//! One boot of a real Linux guest with two images that were never on a disk of
//! the host, one in each style and in each place, and credentials by both ways
//! of the firmware.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::*;

/// The guest's side: functions that the generated lines call.
const CHECKS: &str =
    concat!(include_str!("../support/checks.sh"), include_str!("../boots/guest/checks.sh"));

/// What `checks.sh` looks for on every disk, and a file that is larger than any buffer.
const FILES: &str = r#"
defaults: {dir_mode: "0711"}
files:
- {path: /motd, text: "for all\n", mode: "0444"}
- {path: /service/token, command: [printf, demo-token], owner: "990:990"}
- {path: /ssh/host_key, file: host_key}
- {path: /tls, dir: tls, mode: keep, dir_mode: keep}
"#;
/// How many checks a disk makes besides those of its contents.
const CHECKS_A_DISK: usize = 19;
/// Two a directory and three a file.
const CHECKS_OF_CONTENTS: usize = 4 * 2 + 3 * 3;

#[test]
fn a_guest_reads_what_was_never_on_a_disk_of_the_host() {
    let first: Vec<u8> = (0..=255).cycle().take(20_000).collect();
    let second: Vec<u8> = (0..=255).rev().cycle().take(50_000).collect();
    let credentials = format!(
        "label: CHIMERA\ncredentials:\n- {{name: by.smbios, base64: {:?}, via: smbios}}\n\
         - {{name: by.fw_cfg, base64: {:?}, via: fw_cfg}}\n",
        STANDARD.encode(&first),
        STANDARD.encode(&second)
    );
    let host = Host::new(&format!("{credentials}{FILES}"));
    fs::write(host.path("other.yaml"), format!("label: OTHER\n{FILES}")).unwrap();
    let key: Vec<u8> = (0..=250).cycle().take(700_001).collect();
    fs::write(host.path("host_key"), &key).unwrap();
    fs::create_dir(host.path("tls")).unwrap();
    fs::set_permissions(host.path("tls"), Permissions::from_mode(0o750)).unwrap();
    fs::write(host.path("payload"), payload(&key, &second)).unwrap();

    let inner = [
        env!("CARGO_BIN_EXE_credimg"),
        "exec",
        "other.yaml",
        "--args",
        "blockdev",
        "--bus",
        "scsi",
        // QEMU opens it by a key that is in memory as well.
        "--encrypt",
        "luks1",
        "--",
        concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-boot"),
        "payload",
        "--",
        "{}",
        "-no-user-config",
    ];
    let guest = run(&mut host.exec(&[], &inner));
    assert!(guest.status.success(), "{}\n{}\n{}", guest.status, stdout(&guest), stderr(&guest));
    let text = stdout(&guest);
    let (structure, rest) = text.split_once('\n').unwrap();
    // Mount lines for a disk there are none; one string, then its end.
    let string = format!("io.systemd.credential.binary:by.smbios={}", STANDARD.encode(&first));
    let expected = [b"\x0b\x05\x00\x0e\x01", string.as_bytes(), b"\0\0"].concat();
    assert_eq!(structure, format!("{}  11-0/raw", digest(&expected)));
    let checks = 1 + 2 * (CHECKS_A_DISK + CHECKS_OF_CONTENTS);
    assert!(rest.ends_with(&format!("\n{checks} checks, 0 failures\n")), "{rest}");
}

/// The script that the guest runs.
fn payload(key: &[u8], fw_cfg: &[u8]) -> String {
    let mut text = CHECKS.to_owned();
    let (motd, token) = (digest(b"for all\n"), digest(b"demo-token"));
    write!(
        text,
        "contents() {{\n\
         directory / 711 0:0\ndirectory /service 711 0:0\ndirectory /ssh 711 0:0\n\
         directory /tls 750 0:0\nregular /motd 444 0:0 {motd}\n\
         regular /service/token 400 990:990 {token}\n\
         regular /ssh/host_key 400 0:0 {}\ntotal 7\n}}\n\
         (cd /sys/firmware/dmi/entries && sha256sum 11-*/raw)\n\
         item=/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/by.fw_cfg/raw\n\
         check 'by fw_cfg' same '{}  -' \"$(sha256sum <$item)\"\n\
         disk CHIMERA erofs contents\ndisk OTHER erofs contents\nfinish\n",
        digest(key),
        digest(fw_cfg)
    )
    .unwrap();
    text
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
