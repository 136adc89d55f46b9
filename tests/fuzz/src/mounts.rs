//! How the guest is told to mount the disk: lines of fstab(5), words of the kernel's command
//! line, units, and their names.

use std::fmt::Write;

use credimg::delivery::mount::{Disk, MOUNT_WORD, kernel_arguments};
use credimg::delivery::units;
use credimg::manifest::{self, Format, Manifest};
use credimg::monitors::{Bus, Serial};

use super::Target;
use super::input::{self, Input};

pub const TARGET: Target =
    Target { name: "mounts", max_bytes: 1024, memory_max_bytes: 8 << 20, run, seeds };

fn run(data: &[u8]) {
    let mut input = Input(data);
    unit_name(input.text());
    let choices = input.byte();
    let [label, path, options, credential] = [(); 4].map(|()| quoted(input.text()));
    let mut text = format!("label: {label}\nmount: {{path: {path}, options: {options}}}\n");
    if choices & 1 != 0 {
        let _ = writeln!(text, "credentials:\n  - {{name: {credential}, text: a, via: disk}}");
    }
    let Ok(plan) = manifest::parse(text.as_bytes(), "m.yaml".as_ref()) else { return };
    let serial = Serial::new("chimera").expect("a serial");
    let label = plan.label.as_ref().map(|label| label.text.as_str());
    let format = [Format::Erofs, Format::Iso9660, Format::Squashfs][usize::from(choices >> 1) % 3];
    let uuid = "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81";
    let disk = match choices & 0x80 {
        0 => Disk::new(format, label, uuid, &serial, Bus::Virtio),
        _ => Disk::opened(format, &serial),
    };
    of_disk(&plan, &disk, format, choices & 1 != 0);
}

fn of_disk(plan: &Manifest, disk: &Disk, format: Format, has_store: bool) {
    let point = plan.mount.as_ref().expect("the manifest has one");
    let fstab = disk.fstab(point, has_store, None).expect("its name is known");
    let lines: Vec<Vec<&str>> =
        fstab.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
    let words = kernel_arguments(&fstab);
    assert_eq!(words.len(), lines.len());
    for (line, word) in lines.iter().zip(words) {
        let [what, place, kind, options, "0", "0"] = line[..] else { panic!("{line:?}") };
        // fstab(5) would take a backslash for the begin of a code.
        assert!(!line.concat().contains('\\') && !what.starts_with('#'), "{line:?}");
        assert!(options.split(',').any(|option| option == "ro" || option == "bind"), "{options}");
        let fields = word.strip_prefix(MOUNT_WORD).and_then(|rest| rest.strip_prefix('='));
        let fields = fields.expect("the word's name").split(':').map(unescaped);
        assert!(fields.eq([what, place, kind, options]), "{word}");
        // Of what parts words, or is taken away with them.
        assert!(word.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'".contains(&byte)));
    }
    let first = &lines[0];
    assert_eq!((first[1], first[2]), (point.as_str(), format.name()));
    let files = units::files(plan, disk, Vec::new()).expect("its name is known");
    let text = units::text(&files);
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    assert_eq!(value("Where="), Some(point.as_str()));
    let options = value("Options=").unwrap_or_default().replace("%%", "%");
    assert!(first[3].starts_with(&options), "{options}");
}

/// A path comes back from the name of its unit.
fn unit_name(path: &[u8]) {
    let Ok(path) = std::str::from_utf8(path) else { return };
    let is_clean = path.split('/').skip(1).all(|name| !matches!(name, "" | "." | ".."));
    if !path.starts_with('/') || !is_clean {
        return;
    }
    let name = credimg::fuzzing::unit_name(path);
    let separated = name.replace('-', "/");
    assert_eq!(format!("/{}", unescaped(&separated)), path, "{name}");
}

/// The text without its escapes of two hexadecimal digits (`cunescape` of systemd).
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut left = text.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        if *first == b'\\' {
            let digits = std::str::from_utf8(&rest[1..3]).expect("two digits");
            assert_eq!(rest[0], b'x');
            bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
            left = &rest[3..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).expect("UTF-8 goes in")
}

/// A value of YAML between double quotes.
fn quoted(text: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for character in String::from_utf8_lossy(text).chars() {
        let _ = write!(quoted, "\\U{:08x}", u32::from(character));
    }
    quoted + "\""
}

fn seeds() -> Vec<Vec<u8>> {
    [
        ["/run/secrets", "\u{0}", "CHIMERA", "/run/secrets", "noatime", ""],
        [
            "/srv/a-b/.c_d",
            "\u{1}",
            "a:b+c#d@e",
            "/srv/a-b/.c_d",
            "context=\"u:r:t:s0:c1,c2\"",
            "api",
        ],
        ["/.h/x@y+z\u{e4}", "\u{7}", "A", "/run/credstore", "x-systemd.device-timeout=5s", "db.%i"],
    ]
    .map(|[unit, choices, rest @ ..]| {
        let rest = rest.map(|text| input::text(text.as_bytes())).concat();
        [input::text(unit.as_bytes()), choices.into(), rest].concat()
    })
    .to_vec()
}
