//! What was sent to the machine: everything that its arguments name, each with the hash that the
//! guest reports when it has arrived.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::arguments::{Disk, MachineArguments};
use super::drivers;
use super::keyed_hash::{Digits, Key};
use super::properties::Properties;
use super::smbios;
use super::tail::{self, Member, TAIL_MAX_BYTES};
use crate::delivery::initrd::{EXTRA_DIRECTORY, copied_name};
use crate::host::input;
use crate::host::open::open_named;
use crate::monitors::{ITEM_PREFIX, OEM_PREFIX};
use crate::report::{Exit, Failure, shown, shown_bytes};

/// Longest file of the firmware: far more than QEMU takes.
const FILE_MAX_BYTES: usize = 1 << 20;
/// How many bytes from the start of a disk are compared, besides its size. The guest reads as many.
const START_MAX_BYTES: u64 = 1 << 20;
/// The unit in which QEMU rounds up the size of a disk.
const SECTOR_BYTES: u64 = 512;
/// Prefixes of OEM strings that hold a credential; the credential's name follows.
const CREDENTIAL_PREFIXES: [&str; 2] = ["io.systemd.credential:", OEM_PREFIX];
/// Words of the kernel's command line that are for the guest's systemd.
const WORD_PREFIXES: [&str; 2] = ["systemd.mount-extra=", "systemd.set_credential"];

/// What brings something to the guest: a channel for credentials, or the kernel's command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// An OEM string of the SMBIOS tables.
    Smbios,
    /// An item of QEMU's firmware configuration device.
    FwCfg,
    /// A file behind the guest's own initrd.
    Initrd,
    /// A word of the kernel's command line.
    KernelLine,
    /// A disk.
    Disk,
}

impl Carrier {
    /// The name in messages and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smbios => "smbios",
            Self::FwCfg => "fw_cfg",
            Self::Initrd => "initrd",
            Self::KernelLine => "kernel line",
            Self::Disk => "disk",
        }
    }
}

/// Something that was sent to the machine.
pub(super) struct Sent {
    /// The name for messages: of a credential, of an item of fw_cfg, or a disk's serial or file.
    pub(super) name: String,
    pub(super) carrier: Carrier,
    pub(super) expected: Expected,
    /// Modules of Linux without which the guest does not see it.
    pub(super) drivers: Vec<&'static str>,
}

/// What the guest reports when it has arrived.
pub(super) enum Expected {
    /// The guest has something with this hash.
    Has(Digits),
    /// The guest has a disk with this content and serial. The content is none where it is not
    /// known, the serial where the machine gives the disk none.
    Disk { content: Option<Digits>, serial: Option<Digits> },
}

/// The last bytes of the initrd that the arguments name. Credentials lie there, behind the guest's
/// own initrd. Empty where the arguments name no initrd.
pub(super) fn end_of_initrd(own: &MachineArguments) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    if let Some(path) = own.initrd.as_deref().map(Path::new) {
        let (mut file, stat) = open_named(path)?;
        let before = u64::try_from(stat.st_size).unwrap_or(0).saturating_sub(TAIL_MAX_BYTES);
        file.seek(SeekFrom::Start(before))
            .and_then(|_| file.take(TAIL_MAX_BYTES).read_to_end(&mut bytes))
            .map_err(|error| cannot_read(path, &error))?;
    }
    Ok(bytes)
}

/// Everything that the arguments send. `initrd` is what [`end_of_initrd`] has read.
pub(super) fn things(
    own: &MachineArguments,
    initrd: &[u8],
    key: &Key,
) -> Result<Vec<Sent>, Failure> {
    let mut things = Vec::new();
    for properties in &own.smbios {
        of_smbios(properties, key, &mut things)?;
    }
    for properties in &own.items {
        things.extend(item(properties, key)?);
    }
    for word in own.words.iter().filter(|word| is_for_guest(word)) {
        things.push(Sent {
            name: shown_bytes(word.split(|byte| b"=:".contains(byte)).next().unwrap_or_default()),
            carrier: Carrier::KernelLine,
            expected: Expected::Has(hash(key, b"word", &[word])),
            drivers: Vec::new(),
        });
    }
    if let Some((_, members)) = tail::archive(initrd) {
        things.extend(members.iter().map(|Member { path, content }| Sent {
            name: file_name(path, &members),
            carrier: Carrier::Initrd,
            expected: Expected::Has(hash(key, b"file", &[path, b"\0", content])),
            drivers: Vec::new(),
        }));
    }
    for disk in &own.disks {
        things.push(of_disk(disk, own, key)?);
    }
    Ok(things)
}

/// What messages call a file of an initrd: by its credential, if its path or a line for
/// systemd-tmpfiles names one, else by its path.
fn file_name(path: &[u8], members: &[Member]) -> String {
    let own = path.strip_prefix(EXTRA_DIRECTORY.as_bytes());
    if let Some(name) = own.and_then(|it| it.strip_prefix(b"/")?.strip_suffix(b".cred")) {
        return shown_bytes(name);
    }
    let lines = members.iter().filter(|member| member.path.ends_with(b".conf"));
    let mut lines = lines.flat_map(|member| member.content.split(|byte| *byte == b'\n'));
    let name = str::from_utf8(path)
        .ok()
        .and_then(|path| lines.find_map(|line| copied_name(str::from_utf8(line).ok()?, path)));
    shown_bytes(name.as_ref().map_or(path, String::as_bytes))
}

/// Whether a word of the kernel's command line brings something to the guest.
pub(super) fn is_for_guest(word: &[u8]) -> bool {
    WORD_PREFIXES.iter().any(|prefix| word.starts_with(prefix.as_bytes()))
}

/// The OEM strings of one `-smbios`.
fn of_smbios(properties: &Properties, key: &Key, things: &mut Vec<Sent>) -> Result<(), Failure> {
    let mut add = |string: &[u8]| {
        let (name, carrier) = (string_name(string), Carrier::Smbios);
        let expected = Expected::Has(hash(key, b"smbios", &[string]));
        things.push(Sent { name, carrier, expected, drivers: Vec::new() });
    };
    if let Some(file) = properties.get("file") {
        smbios::oem_strings(&read(path(file))?, add);
    } else if properties.get("type") == Some(b"11") {
        properties.all("value").for_each(&mut add);
        for file in properties.all("path") {
            add(&read(path(file))?);
        }
    }
    Ok(())
}

/// What messages call an OEM string: by its credential, as nothing else of the string may be shown.
fn string_name(string: &[u8]) -> String {
    let credential = CREDENTIAL_PREFIXES.iter().find_map(|prefix| {
        let rest = string.strip_prefix(prefix.as_bytes())?;
        rest.iter().position(|byte| *byte == b'=').and_then(|end| rest.get(..end))
    });
    credential.map_or_else(|| "an OEM string".to_owned(), shown_bytes)
}

/// The item of one `-fw_cfg`; none where its name is not one for users (`opt/`).
fn item(properties: &Properties, key: &Key) -> Result<Option<Sent>, Failure> {
    let name = properties.get("name").unwrap_or_default();
    let content = match (properties.get("file"), properties.get("string")) {
        (Some(file), _) => read(path(file))?,
        (None, Some(text)) => Zeroizing::new(text.to_vec()),
        (None, None) => return Ok(None),
    };
    // The guest reads users' items alone, as the firmware's own can be large.
    if !name.starts_with(b"opt/") {
        return Ok(None);
    }
    let credential = name.strip_prefix(ITEM_PREFIX.as_bytes());
    Ok(Some(Sent {
        name: shown_bytes(credential.unwrap_or(name)),
        carrier: Carrier::FwCfg,
        expected: Expected::Has(hash(key, b"fw_cfg", &[name, b"\0", &content])),
        drivers: vec!["qemu_fw_cfg"],
    }))
}

/// One disk of the machine.
fn of_disk(
    Disk { drive, device }: &Disk,
    own: &MachineArguments,
    key: &Key,
) -> Result<Sent, Failure> {
    let serial = device.get("serial").filter(|serial| !serial.is_empty());
    let format = drive.get("format").or_else(|| drive.get("driver")).unwrap_or_default();
    let file = disk_file(drive, own);
    // The file's bytes are the disk's only in the format raw.
    let content = match file.as_deref().filter(|_| format == b"raw") {
        Some(file) => Some(start_of_disk(file, key)?),
        None => None,
    };
    let driver = device.text("driver").unwrap_or_default();
    let devices = own.controllers.iter().map(String::as_str).chain([driver]);
    // A file in memory has no name that means anything to people.
    let named = file.filter(|file| !file.starts_with("/proc/self/fd"));
    let name = serial.map(shown_bytes).or_else(|| named.as_deref().map(shown));
    Ok(Sent {
        name: name.unwrap_or_else(|| "the disk".to_owned()),
        carrier: Carrier::Disk,
        expected: Expected::Disk { content, serial: serial.map(|it| hash(key, b"serial", &[it])) },
        drivers: devices.flat_map(drivers::of_device).copied().collect(),
    })
}

/// The file that a disk is in; none where it is no file, such as a network disk.
fn disk_file(drive: &Properties, own: &MachineArguments) -> Option<PathBuf> {
    let file = drive.get("file.filename").or_else(|| drive.get("filename"));
    if let Some(file) = file {
        return Some(inherited(path(file), own));
    }
    let file = drive.get("file")?;
    let node = own.nodes.iter().find(|node| node.get("node-name") == Some(file));
    if let Some(node) = node {
        return node.get("filename").map(|file| inherited(path(file), own));
    }
    // A colon before the first slash follows the name of a protocol.
    let is_protocol = file.iter().find(|byte| b":/".contains(byte)) == Some(&b':');
    (!is_protocol).then(|| inherited(path(file), own))
}

/// The path of a file. QEMU writes `/dev/fdset/N` for an inherited descriptor, which this program
/// opens by its own number.
fn inherited(file: &Path, own: &MachineArguments) -> PathBuf {
    let set = file.strip_prefix("/dev/fdset").ok().and_then(Path::to_str);
    let found = set.and_then(|set| own.descriptors.iter().find(|it| it.text("set") == Some(set)));
    match found.and_then(|descriptor| descriptor.text("fd")) {
        Some(number) => Path::new("/proc/self/fd").join(number),
        None => file.to_owned(),
    }
}

/// The hash of a disk's size and of its first bytes.
fn start_of_disk(path: &Path, key: &Key) -> Result<Digits, Failure> {
    let unreadable = |error: std::io::Error| cannot_read(path, &error);
    let (file, stat) = open_named(path)?;
    let length = u64::try_from(stat.st_size).unwrap_or(0);
    let size = length.next_multiple_of(SECTOR_BYTES);
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(START_MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    // QEMU shows zeros up to the end of the last sector.
    bytes.resize(usize::try_from(size.min(START_MAX_BYTES)).unwrap_or(0), 0);
    Ok(hash(key, b"disk", &[&size.to_le_bytes(), &bytes]))
}

fn hash(key: &Key, kind: &[u8], parts: &[&[u8]]) -> Digits {
    let mut hash = key.hash(kind);
    for part in parts {
        hash.add(part);
    }
    hash.digits()
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// The content of a private file that QEMU reads when it starts.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (file, stat): (File, _) = open_named(path)?;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let content = input::read_regular(&file, size, FILE_MAX_BYTES)
        .map_err(|error| cannot_read(path, &error))?;
    if content.len() > FILE_MAX_BYTES {
        let message = format!("{} is longer than {FILE_MAX_BYTES} bytes", shown(path));
        return Err(Failure::new(Exit::Source, message));
    }
    Ok(content)
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::inside(error).cloned().unwrap_or_else(|| {
        let message = format!("cannot read {}: {}", shown(path), crate::report::reason(error));
        Failure::new(Exit::Source, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::initrd::{Form, behind};

    #[test]
    fn files_of_an_initrd_are_called_by_their_credentials() {
        let credentials: [(&str, &[u8]); 2] = [("a", b"x"), ("b%c\\d\"e f", b"y")];
        for form in [Form::Extra, Form::Tmpfiles] {
            let end = behind(4, form, &credentials);
            let members = tail::archive(end.expose()).map(|(_, members)| members);
            let members = members.unwrap_or_default();
            let names = members.iter().map(|member| file_name(member.path, &members));
            let names: Vec<_> = names.take(2).collect();
            assert_eq!(names, [shown_bytes(b"a"), shown_bytes(b"b%c\\d\"e f")], "{form:?}");
        }
    }

    fn strings(tables: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        smbios::oem_strings(tables, |string| found.push(string_name(string)));
        found
    }

    #[test]
    fn strings_of_tables_are_called_by_their_credentials() {
        let structure = b"\x0b\x05\x00\x0e\x03io.systemd.credential:a=hunter2\0\
                          io.systemd.credential.binary:b.c=aHVudGVyMg==\0hunter2\0\0";
        let names = ["a", "b.c", "an OEM string"];
        assert_eq!(strings(structure), names);
        let other = b"\x01\x04\x00\x01\0\0";
        let end = b"\x7f\x04\xff\xff\0\0";
        assert_eq!(strings(&[&other[..], structure, end, structure].concat()), names);
    }

    #[test]
    fn broken_tables_end_the_search() {
        for tables in [
            &b""[..],
            b"\x0b",
            b"\x0b\x05",
            b"\x0b\xff\x00\x0e\x01abc\0\0",
            b"\x0b\x00",
            b"\x0b\x05\x00\x0e\x01",
            b"\x01\x00\0\0\0\0\0\0",
        ] {
            assert_eq!(strings(tables), [""; 0], "{tables:?}");
        }
        assert_eq!(strings(b"\x0b\x05\x00\x0e\x01abc"), ["an OEM string"]);
    }
}
