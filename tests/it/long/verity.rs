//! One boot of a Debian guest with nine disks that have a hash tree: good ones of each format, and
//! some of which one byte was changed. The guest mounts the good ones, none of the others, and waits
//! for nothing.

use std::fmt::Write as _;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::systemd::{credimg, guest, oem_strings, write_service};

const REPORT: &str = include_str!("verity/report");
const SERVICE: &str = include_str!("verity/report.service");

/// What of a disk is changed before the guest gets it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    /// A byte of its data.
    Data,
    /// One of the tree.
    Tree,
    /// One of the tree's superblock.
    Superblock,
}

/// Label in lower case, extension of the image, whether LUKS2 is around it, and what is changed.
const DISKS: [(&str, &str, bool, Change); 9] = [
    ("erofs", "erofs", false, Change::Nothing),
    ("squashfs", "squashfs", false, Change::Nothing),
    ("iso", "iso", false, Change::Nothing),
    ("luks", "squashfs", true, Change::Nothing),
    ("luksiso", "iso", true, Change::Nothing),
    ("data", "erofs", false, Change::Data),
    ("tree", "erofs", false, Change::Tree),
    ("super", "erofs", false, Change::Superblock),
    ("luksdata", "squashfs", true, Change::Data),
];

#[test]
fn a_guest_mounts_what_was_built_and_nothing_that_was_changed() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path();
    let (mut arguments, mut strings, mut lines) = (String::new(), Vec::new(), Vec::new());
    for (index, (name, extension, is_encrypted, change)) in DISKS.iter().enumerate() {
        let manifest = format!(
            "label: {}\nverity: true\nmount: {{path: /run/{name}, options: nofail}}\n\
             files: [{{path: /big, shell: 'seq 1 20000'}}]\n",
            name.to_uppercase()
        );
        fs::write(directory.join("secrets.yaml"), manifest).unwrap();
        let image = format!("{name}.{extension}");
        let (key, place) = (format!("{name}.key"), (index + 1).to_string());
        let mut options = vec!["--place", &place];
        if *is_encrypted {
            options.extend(["--encrypt", "luks2", "--key-out", &key]);
        }
        let printed = credimg(directory, &image, &options);
        write!(arguments, "{} ", printed.split(" -smbios").next().unwrap()).unwrap();
        let structure = fs::read(directory.join(format!("{image}.smbios"))).unwrap();
        for string in oem_strings(&structure) {
            // One credential tells of all mounts.
            match string.split_once(":fstab.extra=") {
                Some((_, value)) => lines.extend(STANDARD.decode(value).unwrap()),
                None => strings.push(string),
            }
        }
        let report = fs::read(directory.join("report")).unwrap();
        let report: Value = serde_json::from_slice(&report).unwrap();
        let offset_bytes = report["hash_offset_bytes"].as_u64().unwrap();
        let place = match change {
            Change::Nothing => continue,
            // What nothing but reading the whole finds: the middle of a file.
            Change::Data => offset_bytes - (24 << 10),
            Change::Tree => offset_bytes + 4096 + 40,
            Change::Superblock => offset_bytes + 90,
        };
        let mut bytes = fs::read(directory.join(&image)).unwrap();
        bytes[place as usize] ^= 1;
        fs::write(directory.join(&image), bytes).unwrap();
    }
    strings.push(format!("io.systemd.credential.binary:fstab.extra={}", STANDARD.encode(lines)));
    let count = u8::try_from(strings.len()).unwrap();
    let structure = [&[0x0b, 5, 0, 0x0e, count], (strings.join("\0") + "\0\0").as_bytes()].concat();
    fs::write(directory.join("structure"), structure).unwrap();

    let tree = directory.join("tree");
    let names: Vec<_> = DISKS.iter().map(|(name, ..)| *name).collect();
    write_service(&tree, "report", SERVICE, REPORT, ("disks", &names));

    // Nine disks take a busy host longer than others do.
    let time = [("GUEST_TIMEOUT", "600")];
    let guest = guest(directory, &tree, &format!("{arguments} -smbios file=structure"), &time);
    let (said, errors) =
        (String::from_utf8_lossy(&guest.stdout), String::from_utf8_lossy(&guest.stderr));
    let mut expected = String::new();
    for (name, _, _, change) in DISKS {
        let line = match change {
            Change::Nothing => format!("{name}: active, active, 108894 bytes"),
            Change::Data | Change::Tree | Change::Superblock => {
                format!("{name}: failed, inactive, no file")
            }
        };
        writeln!(expected, "{line}").unwrap();
    }
    assert_eq!(said, expected, "{}\n{errors}", guest.status);
    assert!(guest.status.success(), "{}\n{errors}", guest.status);
}
