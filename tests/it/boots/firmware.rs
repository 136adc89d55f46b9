//! One boot of a real Linux guest with every firmware budget filled to its last
//! byte: 255 OEM strings in a structure of 57,343 bytes, 17 items of `fw_cfg` with
//! names of 28 characters but one of another name, and 1 MiB of values. The guest reads them back.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::support::host::{Host, stderr, stdout};

const STRINGS: usize = 255;
/// One of the 17 has the name that Ignition looks for.
const ITEMS: usize = 16;
const CONFIG: &str = "opt/com.coreos/config";
const CONFIG_BYTES: usize = 100_000;

/// Names by SMBIOS with their values. Each string has 35 characters beside the
/// value's, so that 57,337 - 255 * 35 are left for base64, in fours.
fn strings() -> Vec<(String, Vec<u8>)> {
    let quads = (57_337 - STRINGS * 35) / 4;
    let each = quads / STRINGS;
    let last = quads - (STRINGS - 1) * each;
    let quads = |index| if index + 1 == STRINGS { last } else { each };
    (0..STRINGS).map(|index| (format!("s{index:03}"), pattern(index, 3 * quads(index)))).collect()
}

/// Names by `fw_cfg` with their values, which fill what `strings` leave of 1 MiB.
fn items(strings: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let left = (1 << 20) - strings.iter().map(|(_, value)| value.len()).sum::<usize>();
    let each = left / ITEMS;
    let last = left - (ITEMS - 1) * each;
    let bytes = |index| if index + 1 == ITEMS { last } else { each };
    (0..ITEMS)
        .map(|index| (format!("{index:02}{}", "f".repeat(26)), pattern(index, bytes(index))))
        .collect()
}

/// Bytes of every value, in an order that `seed` shifts.
fn pattern(seed: usize, bytes: usize) -> Vec<u8> {
    (0..=255_u8).cycle().skip(seed).step_by(7).take(bytes).collect()
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn full_budgets_arrive_whole_in_a_guest() {
    let strings = strings();
    let items = items(&strings);
    let line = |via: &str, (name, value): &(String, Vec<u8>)| {
        format!("- {{name: {name:?}, base64: {:?}, via: {via}}}\n", STANDARD.encode(value))
    };
    // The largest values come from files: a manifest has a megabyte at most.
    let mut manifest = "credentials:\n".to_owned();
    manifest.extend(strings.iter().map(|string| line("smbios", string)));
    for (name, _) in &items {
        writeln!(manifest, "- {{name: {name}, file: {name}, via: fw_cfg}}").unwrap();
    }
    writeln!(manifest, "fw_cfg: [{{name: {CONFIG}, file: config}}]").unwrap();
    let host = Host::new(&manifest);
    fs::write(host.path("config"), pattern(3, CONFIG_BYTES)).unwrap();
    for (name, value) in &items {
        fs::write(host.path(name), value).unwrap();
    }
    let built = host.build(&["--args", "lines"]);
    assert!(built.status.success(), "{}", stderr(&built));
    let structure = fs::read(host.path("out.erofs.smbios")).unwrap();
    assert_eq!(structure.len(), 57_343);

    fs::write(
        host.path("payload"),
        "cd /sys/firmware/dmi/entries && sha256sum 11-*/raw\n\
         cd /sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials && sha256sum */raw\n\
         cd /sys/firmware/qemu_fw_cfg/by_name && sha256sum opt/com.coreos/config/raw\n",
    )
    .unwrap();
    let guest = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-boot"))
        .args(["payload", "--"])
        .args(stdout(&built).lines())
        .env("GUEST_PACKED", "yes")
        // The kernel of the test itself takes slots.
        .args(["-global", "fw_cfg_io.x-file-slots=64"])
        .current_dir(host.path(""))
        .output()
        .unwrap();
    let mut expected = format!("{}  11-0/raw\n", digest(&structure));
    for (name, value) in &items {
        writeln!(expected, "{}  {name}/raw", digest(value)).unwrap();
    }
    writeln!(expected, "{}  {CONFIG}/raw", digest(&pattern(3, CONFIG_BYTES))).unwrap();
    assert!(guest.status.success(), "{}\n{}", guest.status, stderr(&guest));
    assert_eq!(stdout(&guest), expected);
}
