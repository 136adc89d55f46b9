//! QEMU's arguments: what its own rules read of them is what went in.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use credimg::keys::wrap::Wrapped;
use credimg::monitors::{
    Block, Bus, Drive, DriveId, DriveKey, Firmware, FwCfgItem, Machine, Place, PublicCredential,
    Serial, SmbiosFile, Style, qemu,
};

use super::input::{self, Input};
use super::{Target, monitors, parsers};

pub const TARGET: Target =
    Target { name: "arguments", max_bytes: 2048, memory_max_bytes: 8 << 20, run, seeds };

const BUSES: [Bus; 6] = [Bus::Virtio, Bus::Scsi, Bus::Usb, Bus::Nvme, Bus::Cdrom, Bus::Sata];

fn run(data: &[u8]) {
    let machine = machine(&mut Input(data));
    let Ok(words) = qemu::words(&machine, Style::Shell) else {
        let mut paths = machine.drive.iter().map(|drive| &drive.path).chain(&machine.initrd);
        assert!(paths.any(|path| is_no_path(path.as_os_str().as_bytes())));
        return;
    };
    as_options(&machine, &words);
    let shell = qemu::render(&machine, Style::Shell).expect("words can be quoted");
    assert_eq!(parsers::shell_words(&shell), words);
    if let Ok(text) = qemu::render(&machine, Style::Json) {
        let array: Vec<String> = serde_json::from_slice(&text).expect("JSON");
        assert!(array.iter().map(String::as_bytes).eq(words.iter().map(Vec::as_slice)));
    }
    if let Ok(text) = qemu::render(&machine, Style::Lines) {
        let lines = text.strip_suffix(b"\n").expect("a last line").split(|byte| *byte == b'\n');
        assert!(words.is_empty() || lines.eq(words.iter().map(Vec::as_slice)));
    }
    if let Ok(text) = qemu::render(&machine, Style::Blockdev) {
        let words = parsers::shell_words(&text);
        if let Some(drive) = &machine.drive {
            as_node(drive, value_of(&words, b"-blockdev"));
        }
    }
    if let Ok(text) = qemu::render(&machine, Style::Readconfig) {
        as_config(&machine, &parsers::config(&text));
    }
    monitors::check(&machine);
}

/// A machine from these bytes.
fn machine(input: &mut Input<'_>) -> Machine {
    let choices = input.byte();
    let bus = input.of(&BUSES);
    let serial = String::from_utf8_lossy(input.text()).into_owned();
    let serial = Serial::new(&serial)
        .unwrap_or_else(|_| Serial::from_path(Path::new(&serial), Place::default()));
    let path = path(input.text());
    let key = match choices & 3 {
        1 => Some(DriveKey::File(self::path(input.text()))),
        2 => {
            let [iv, data] = ["aXY=", "ZGE+dGE="].map(str::to_owned);
            let key = Wrapped { iv, data };
            Some(DriveKey::Wrapped { master: self::path(input.text()), key })
        }
        _ => None,
    };
    let drive = Drive {
        id: DriveId::from_serial(&serial),
        serial,
        path,
        descriptor: None,
        bus,
        place: if choices & 4 == 0 { Place::default() } else { Place::Auto },
        block: input.of(&[Block::Small, Block::Cd, Block::Page]),
        machine_type: None,
        key,
    };
    let mut firmware = Firmware::default();
    for kind in (3..7).filter(|bit| choices & (1 << bit) != 0) {
        match kind {
            3 => firmware.smbios.push(SmbiosFile::Structure(self::path(input.text()))),
            4 => firmware.smbios.push(SmbiosFile::String(self::path(input.text()))),
            5 => firmware
                .fw_cfg
                .push(FwCfgItem { name: name(input.text(), 55), file: self::path(input.text()) }),
            _ => firmware.public.push(PublicCredential {
                name: name(input.text(), 64).replace(['=', '/', ':'], "_"),
                value: String::from_utf8_lossy(input.text()).replace('\0', "\n"),
            }),
        }
    }
    let initrd = (choices & 2 != 0).then(|| self::path(input.text()));
    let drive = (choices & 0x80 == 0).then_some(drive);
    Machine { drive, firmware, initrd, ..Machine::default() }
}

/// Whether no file can have this path.
fn is_no_path(path: &[u8]) -> bool {
    path.is_empty() || path.contains(&0)
}

fn path(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

/// Printable ASCII, as the planner has checked it.
fn name(bytes: &[u8], max_bytes: usize) -> String {
    let printable = bytes.iter().map(|byte| char::from(byte % 95 + b' '));
    let name: String = printable.take(max_bytes).collect();
    if name.is_empty() { "a".to_owned() } else { name }
}

fn value_of<'w>(words: &'w [Vec<u8>], option: &[u8]) -> &'w [u8] {
    values_of(words, option).next().expect("the option is there")
}

fn values_of<'w>(words: &'w [Vec<u8>], option: &[u8]) -> impl Iterator<Item = &'w [u8]> {
    let pairs = words.chunks(2).filter(move |pair| pair[0] == option);
    pairs.map(|pair| pair[1].as_slice())
}

/// The value of one key, which is there once.
fn one<'v>(options: &'v [(String, Vec<u8>)], key: &str) -> &'v [u8] {
    let mut values = options.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
    let value = values.next().unwrap_or_else(|| panic!("no {key} in {options:?}"));
    assert_eq!(values.next(), None, "{key} is there twice");
    value
}

/// Whether QEMU opens the file of this path by this name: no protocol, no descriptor.
pub fn is_path(name: &[u8], path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    let is_plain = name.iter().find(|byte| b":/".contains(byte)) != Some(&b':');
    let is_same = name == path
        || name.strip_prefix(b"./") == Some(path)
        || name.strip_prefix(b"/.") == Some(path) && path.starts_with(b"/");
    is_plain && is_same && !name.starts_with(b"/dev/fdset/")
}

fn as_options(machine: &Machine, words: &[Vec<u8>]) {
    assert!(words.len().is_multiple_of(2));
    if let Some(drive) = &machine.drive {
        let options = parsers::options(value_of(words, b"-drive"));
        assert!(is_path(one(&options, "file"), &drive.path), "{options:?}");
        assert_eq!(one(&options, "read-only"), b"on");
        assert_eq!(one(&options, "id"), drive.id.as_str().as_bytes());
        let format: &[u8] = if drive.key.is_some() { b"luks" } else { b"raw" };
        assert_eq!(one(&options, "format"), format);
        let mut serials = Vec::new();
        for device in values_of(words, b"-device") {
            serials.extend(parsers::options(device).into_iter().filter(|(key, _)| key == "serial"));
        }
        assert!(!serials.is_empty());
        assert!(serials.iter().all(|(_, value)| value == drive.serial.as_str().as_bytes()));
        let objects: Vec<_> = values_of(words, b"-object").map(parsers::options).collect();
        match &drive.key {
            None => assert!(objects.is_empty()),
            Some(DriveKey::File(file) | DriveKey::Wrapped { master: file, .. }) => {
                assert_eq!(one(&objects[0], "file"), file.as_os_str().as_bytes());
            }
        }
    }
    let items: Vec<_> = values_of(words, b"-fw_cfg").map(parsers::options).collect();
    assert_eq!(items.len(), machine.firmware.fw_cfg.len());
    for (item, options) in machine.firmware.fw_cfg.iter().zip(&items) {
        assert_eq!(one(options, "name"), item.name.as_bytes());
        assert_eq!(one(options, "file"), item.file.as_os_str().as_bytes());
    }
    let mut tables = values_of(words, b"-smbios").map(parsers::options);
    for file in &machine.firmware.smbios {
        let options = tables.next().expect("an option for each file");
        match file {
            SmbiosFile::Structure(path) => {
                assert_eq!(one(&options, "file"), path.as_os_str().as_bytes());
            }
            SmbiosFile::String(path) => {
                assert_eq!(one(&options, "path"), path.as_os_str().as_bytes());
            }
        }
    }
    for public in &machine.firmware.public {
        let options = tables.next().expect("an option for each credential");
        assert_eq!(one(&options, "value"), public.oem_string().as_bytes());
    }
    assert!(tables.next().is_none());
}

fn as_node(drive: &Drive, node: &[u8]) {
    let node: serde_json::Value = serde_json::from_slice(node).expect("JSON");
    assert_eq!(node["read-only"], true);
    assert_eq!(node["auto-read-only"], false);
    let name = node["file"]["filename"].as_str().expect("a name");
    assert!(is_path(name.as_bytes(), &drive.path));
}

fn as_config(machine: &Machine, sections: &[parsers::Section]) {
    let of = |kind: &'static str| {
        let is_of = move |heading: &str| heading.split(' ').next() == Some(kind);
        sections.iter().filter(move |(heading, _)| is_of(heading)).map(|(_, settings)| settings)
    };
    if let Some(drive) = &machine.drive {
        let settings = of("drive").next().expect("a drive");
        assert!(is_path(one(settings, "file"), &drive.path));
        assert_eq!(one(settings, "read-only"), b"on");
        let key = of("object").next().map(|settings| one(settings, "file"));
        let expected = drive.key.as_ref().map(|key| match key {
            DriveKey::File(file) | DriveKey::Wrapped { master: file, .. } => {
                file.as_os_str().as_bytes()
            }
        });
        assert_eq!(key, expected);
    }
    let items: Vec<_> = of("fw_cfg").collect();
    assert_eq!(items.len(), machine.firmware.fw_cfg.len());
    for (item, settings) in machine.firmware.fw_cfg.iter().zip(items) {
        assert_eq!(one(settings, "name"), item.name.as_bytes());
        assert_eq!(one(settings, "file"), item.file.as_os_str().as_bytes());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let paths: [&[u8]; 8] = [
        b"/srv/a,b c.erofs",
        b"nbd:x",
        b"json:{}",
        b"/dev/fdset/3",
        b"it's \"$x\"\n",
        b"a\xff",
        b"/a&<b>'",
        "/\u{fffe}[x]\u{e4}".as_bytes(),
    ];
    let mut seeds = Vec::new();
    for (index, path) in paths.into_iter().enumerate() {
        for choices in [0, 1, 2, 0x20, 0x28, 0x50, 0x61, 0xf9] {
            let bus = u8::try_from(index % BUSES.len()).unwrap_or(0);
            let texts = [&b"serial-1"[..], path, b"/k,ey", b"opt/a,b", b"/v,alue", path];
            seeds.push([vec![choices, bus], texts.map(input::text).concat()].concat());
        }
    }
    seeds
}
