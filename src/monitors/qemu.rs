//! QEMU's arguments. Each rule about its syntax here was measured with QEMU 7.2.

use std::borrow::Cow;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::facts::{Facts, Machines, Paths, Printed, Public, Smbios, Started};
use super::{
    Block, Board, Bus, Drive, DriveId, DriveKey, Firmware, FwCfgItem, Machine, SmbiosFile, Style,
    refusal,
};
use crate::keys::wrap::Wrapped;
use crate::report::shell;
use crate::report::{Exit, Failure};

/// What is known of QEMU.
pub(super) static FACTS: Facts = Facts {
    name: "qemu",
    printed: Printed::Styled(render),
    started: Started::Words { styles: &[Style::Shell, Style::Blockdev], words },
    paths: Paths::AsGiven,
    buses: &[Bus::Virtio, Bus::Scsi, Bus::Usb, Bus::Nvme, Bus::Cdrom],
    sets_serial: true,
    opens_luks1: true,
    machines: Machines::All,
    is_told_machine: true,
    smbios: Smbios::Strings,
    fw_cfg: Ok(()),
    no_items: None,
    public: Public::Smbios,
};
/// Longest line of a `-readconfig` file in bytes, without its newline: QEMU
/// reads lines into 1024 bytes and takes the rest for a line of its own.
const CONFIG_LINE_MAX_BYTES: usize = 1023;
/// Sets of descriptors take their numbers from here on, one for each descriptor:
/// people give small ones to their own.
const FDSET_START: i64 = 1_000_000_000;

/// The arguments that give `machine` what it has, ending in a newline unless
/// there is nothing to say. Paths need not be UTF-8, so the result is bytes.
///
/// What `style` cannot carry is an error of [`Exit::Usage`]: some paths, and
/// OEM strings in a configuration file, where QEMU ignores them in silence. So
/// are credentials in files of their own, for which QEMU has no option.
pub fn render(machine: &Machine, style: Style) -> Result<Vec<u8>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    match style {
        Style::Shell | Style::Blockdev => Ok(shell::line(&arguments(machine, style)?)),
        Style::Lines => lines(&arguments(machine, style)?),
        Style::Json => json_array(&arguments(machine, style)?),
        Style::Readconfig => config_file(machine),
        Style::None => Ok(Vec::new()),
    }
}

/// The arguments as words, for a QEMU that is started with them; the styles are
/// [`Style::Blockdev`], or else that of [`Style::Shell`].
pub fn words(machine: &Machine, style: Style) -> Result<Vec<Vec<u8>>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    arguments(machine, style)
}

fn arguments(machine: &Machine, style: Style) -> Result<Vec<Vec<u8>>, Failure> {
    let Machine { drive, firmware } = machine;
    let secrets = drive.iter().flat_map(secrets).collect::<Vec<_>>();
    let mut arguments: Vec<_> = secrets.iter().flat_map(object).collect();
    if let Some(drive) = drive {
        let name = match drive.descriptor {
            None => file_name(&drive.path)?,
            Some(descriptor) => Cow::Owned(pass_descriptor(descriptor, &mut arguments)),
        };
        arguments.extend(match style {
            Style::Blockdev => blockdev_arguments(drive, &name)?,
            Style::Shell | Style::Lines | Style::Json | Style::Readconfig | Style::None => {
                drive_arguments(drive, &name, own_slot(drive))
            }
        });
    }
    arguments.extend(firmware_arguments(firmware));
    Ok(arguments)
}

/// One `-object secret`: its id, then its properties in order. A value is a path or
/// printable ASCII.
struct SecretObject<'a> {
    id: String,
    properties: Vec<(&'static str, Cow<'a, [u8]>)>,
}

/// The objects that the drive's key needs, the drive's own the last.
fn secrets(drive: &Drive) -> Vec<SecretObject<'_>> {
    let text = |text: &'static str| Cow::Borrowed(text.as_bytes());
    let path = |path: &'_ PathBuf| Cow::Owned(path.as_os_str().as_bytes().to_vec());
    let own = key_id(drive);
    match &drive.key {
        None => Vec::new(),
        Some(DriveKey::File(file)) => {
            vec![SecretObject { id: own, properties: vec![("file", path(file))] }]
        }
        Some(DriveKey::Wrapped { master, key }) => {
            let master_id = format!("{}-master", drive.id.as_str());
            let properties = vec![("file", path(master)), ("format", text("base64"))];
            let keyid = Cow::Owned(master_id.clone().into_bytes());
            let own = SecretObject { id: own, properties: wrapped_properties(keyid, key) };
            vec![SecretObject { id: master_id, properties }, own]
        }
    }
}

/// The properties of a wrapped secret. `data=` without a vector would be in clear.
fn wrapped_properties<'a>(
    keyid: Cow<'a, [u8]>,
    Wrapped { iv, data }: &'a Wrapped,
) -> Vec<(&'static str, Cow<'a, [u8]>)> {
    let bytes = |text: &'a str| Cow::Borrowed(text.as_bytes());
    vec![("keyid", keyid), ("iv", bytes(iv)), ("format", bytes("base64")), ("data", bytes(data))]
}

/// The `-object` that holds `wrapped`, for any option of QEMU that names a secret: in
/// the shell's words, or as a JSON object. `keyid` is the id of the master key's.
pub fn wrapped_object(id: &DriveId, keyid: &DriveId, wrapped: &Wrapped, is_json: bool) -> Vec<u8> {
    let (id, keyid, Wrapped { iv, data }) = (id.as_str(), keyid.as_str(), wrapped);
    if is_json {
        let (kind, format) = ("secret", "base64");
        let object = json!({ "qom-type": kind, "id": id, "keyid": keyid, "iv": iv, "format": format, "data": data });
        return format!("{object}\n").into_bytes();
    }
    let properties = wrapped_properties(Cow::Borrowed(keyid.as_bytes()), wrapped);
    shell::line(&object(&SecretObject { id: id.to_owned(), properties }))
}

fn object(SecretObject { id, properties }: &SecretObject<'_>) -> [Vec<u8>; 2] {
    let mut value = format!("secret,id={id}").into_bytes();
    for (key, text) in properties {
        value.extend([b",", key.as_bytes(), b"=", &escaped(text)[..]].concat());
    }
    [b"-object".to_vec(), value]
}

/// The id of the secret that holds the drive's key.
fn key_id(drive: &Drive) -> String {
    format!("{}-key", drive.id.as_str())
}

/// The driver of the image, and the id of the secret that opens it.
fn driver(drive: &Drive) -> (&'static str, Option<String>) {
    if drive.key.is_some() { ("luks", Some(key_id(drive))) } else { ("raw", None) }
}

/// Adds what makes QEMU take over a descriptor that it inherits; returns the
/// name of the file by which QEMU finds it.
fn pass_descriptor(descriptor: RawFd, arguments: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let set = FDSET_START + i64::from(descriptor);
    let value = format!("fd={descriptor},set={set}");
    arguments.extend([b"-add-fd".to_vec(), value.into_bytes()]);
    format!("/dev/fdset/{set}").into_bytes()
}

/// One `-device` of the drive.
struct Device {
    driver: &'static str,
    /// Only controllers have one: it names their bus.
    id: Option<String>,
    properties: Vec<(&'static str, String)>,
}

/// A controller that a drive brings with it.
struct Controller {
    driver: &'static str,
    /// What its id ends in.
    suffix: &'static str,
    /// Whether the guest has the disk's serial from it.
    has_serial: bool,
}

/// Where the first device of a drive is plugged in: properties that it gets.
type Plug = Vec<(&'static str, String)>;

/// The drive's place on the machine's first PCI bus.
fn own_slot(drive: &Drive) -> Plug {
    let slot = drive.place.pci_slot().filter(|_| has_slots(drive));
    slot.map(address).into_iter().collect()
}

/// The property that is a slot of a PCI bus.
pub(super) fn address(slot: u8) -> (&'static str, String) {
    ("addr", format!("{slot:#x}"))
}

/// The drive's arguments, where its first device is plugged in by `plug` and not into the
/// machine's first PCI bus.
pub(super) fn plugged(drive: &Drive, plug: Plug) -> Result<Vec<Vec<u8>>, Failure> {
    Ok(drive_arguments(drive, &file_name(&drive.path)?, plug))
}

/// Whether the machine's devices have slots of a PCI bus.
fn has_slots(drive: &Drive) -> bool {
    match drive.machine_type.map(|it| it.board) {
        Some(Board::Microvm | Board::S390 | Board::Unknown) => false,
        None | Some(Board::Pc | Board::Q35 | Board::Virt | Board::VirtUefi | Board::Pseries) => {
            true
        }
    }
}

/// All devices of the drive: its controllers, then the disk. The controllers belong to
/// this drive alone and take its id, so that the devices of several drives
/// never clash. The first of them is plugged into the machine, by `plug`.
fn devices(drive: &Drive, mut plug: Plug) -> Vec<Device> {
    let (virtio_blk, virtio_scsi) = match drive.machine_type.map(|it| it.board) {
        // The plain names are those of PCI devices, and a microvm has no PCI unless asked.
        Some(Board::Microvm) => ("virtio-blk-device", "virtio-scsi-device"),
        // On s390 those of channel devices.
        None
        | Some(
            Board::Pc
            | Board::Q35
            | Board::Virt
            | Board::VirtUefi
            | Board::Pseries
            | Board::S390
            | Board::Unknown,
        ) => ("virtio-blk", "virtio-scsi"),
    };
    let scsi = Controller { driver: virtio_scsi, suffix: "scsi", has_serial: false };
    let (controllers, disk, has_block_size) = match drive.bus {
        Bus::Virtio => (vec![], virtio_blk, true),
        Bus::Scsi => (vec![scsi], "scsi-hd", true),
        Bus::Usb => {
            let usb = Controller { driver: "qemu-xhci", suffix: "usb", has_serial: false };
            // Of `usb-storage`, which is both in one, no block size can be chosen.
            let bot = Controller { driver: "usb-bot", suffix: "bot", has_serial: true };
            (vec![usb, bot], "scsi-hd", true)
        }
        Bus::Nvme => (vec![], "nvme", true),
        Bus::Cdrom => (vec![scsi], "scsi-cd", false),
    };
    let serial = ("serial", drive.serial.as_str().to_owned());
    let mut devices = Vec::new();
    for Controller { driver, suffix, has_serial } in controllers {
        let id = format!("{}-{suffix}", drive.id.as_str());
        let mut properties = std::mem::replace(&mut plug, vec![("bus", format!("{id}.0"))]);
        if has_serial {
            properties.push(serial.clone());
        }
        devices.push(Device { driver, id: Some(id), properties });
    }
    let mut properties = plug;
    properties.extend([("drive", drive.id.as_str().to_owned()), serial]);
    match drive.block {
        Block::Cd | Block::Page if has_block_size => {
            let bytes = drive.block.bytes().to_string();
            properties.push(("logical_block_size", bytes.clone()));
            properties.push(("physical_block_size", bytes));
        }
        // It is that of QEMU itself.
        Block::Small | Block::Cd | Block::Page => {}
    }
    devices.push(Device { driver: disk, id: None, properties });
    devices
}

/// The path in a form that QEMU takes for nothing but a file's name: a colon
/// before the first slash would end a protocol (`nbd:`, `json:`), and
/// `/dev/fdset/` stands for descriptors that were passed in.
fn file_name(path: &Path) -> Result<Cow<'_, [u8]>, Failure> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        let message = "the image's path is empty or holds a NUL byte";
        return Err(Failure::new(Exit::Usage, message));
    }
    let is_protocol = bytes.iter().find(|byte| b":/".contains(byte)) == Some(&b':');
    Ok(if is_protocol {
        Cow::Owned([b"./", bytes].concat())
    } else if bytes.starts_with(b"/dev/fdset/") {
        Cow::Owned([b"/.", bytes].concat())
    } else {
        Cow::Borrowed(bytes)
    })
}

/// A value in an option list: a comma is doubled; nothing else has a meaning.
pub(super) fn escaped(value: &[u8]) -> Vec<u8> {
    value.split(|byte| *byte == b',').collect::<Vec<_>>().join(&b",,"[..])
}

/// Files of the firmware are opened as they stand: no protocol is looked for.
pub(super) fn firmware_arguments(firmware: &Firmware) -> Vec<Vec<u8>> {
    let file = |path: &Path| escaped(path.as_os_str().as_bytes());
    let mut arguments = Vec::new();
    for smbios in &firmware.smbios {
        let (key, path) = match smbios {
            SmbiosFile::Structure(path) => (&b"file="[..], path),
            SmbiosFile::String(path) => (&b"type=11,path="[..], path),
        };
        arguments.extend([b"-smbios".to_vec(), [key, &file(path)].concat()]);
    }
    for credential in &firmware.public {
        let value = escaped(credential.oem_string().as_bytes());
        arguments.extend([b"-smbios".to_vec(), [b"type=11,value=", &value[..]].concat()]);
    }
    for FwCfgItem { name, file: path } in &firmware.fw_cfg {
        let value = [b"name=", &escaped(name.as_bytes())[..], b",file=", &file(path)].concat();
        arguments.extend([b"-fw_cfg".to_vec(), value]);
    }
    arguments
}

fn drive_arguments(drive: &Drive, path: &[u8], plug: Plug) -> Vec<Vec<u8>> {
    let path = escaped(path);
    let head = format!("if=none,id={},file=", drive.id.as_str()).into_bytes();
    let (format, key) = driver(drive);
    let key = key.map_or_else(String::new, |key| format!(",key-secret={key}"));
    let tail = format!(",format={format}{key},read-only=on").into_bytes();
    let value = [&head[..], &path, &tail].concat();
    let mut arguments = vec![b"-drive".to_vec(), value];
    arguments.extend(device_arguments(drive, plug));
    arguments
}

fn blockdev_arguments(drive: &Drive, path: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let path = std::str::from_utf8(path)
        .ok()
        .filter(|path| !path.contains(is_noncharacter))
        .ok_or_else(|| refusal("blockdev", "holds something that QEMU's JSON cannot"))?;
    let (format, key) = driver(drive);
    let mut node = json!({
        "driver": format,
        "node-name": drive.id.as_str(),
        "read-only": true,
        "auto-read-only": false,
        "file": { "driver": "file", "filename": path },
    });
    if let (Some(key), Some(members)) = (key, node.as_object_mut()) {
        members.insert("key-secret".to_owned(), key.into());
    }
    let mut arguments = vec![b"-blockdev".to_vec(), node.to_string().into_bytes()];
    arguments.extend(device_arguments(drive, own_slot(drive)));
    Ok(arguments)
}

/// The 66 code points that Unicode keeps free of characters: QEMU's JSON parser
/// refuses them, also where they are escaped.
fn is_noncharacter(letter: char) -> bool {
    let code = u32::from(letter);
    matches!(code, 0xfdd0..=0xfdef) || code & 0xfffe == 0xfffe
}

fn device_arguments(drive: &Drive, plug: Plug) -> Vec<Vec<u8>> {
    let mut arguments = Vec::new();
    for Device { driver, id, properties } in devices(drive, plug) {
        let id = id.map(|id| ("id", id));
        let options =
            id.into_iter().chain(properties).map(|(key, value)| format!(",{key}={value}"));
        arguments.push(b"-device".to_vec());
        arguments.push(format!("{driver}{}", options.collect::<String>()).into_bytes());
    }
    arguments
}

pub(super) fn lines(arguments: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    if arguments.iter().any(|argument| argument.contains(&b'\n')) {
        return Err(refusal("lines", "holds a newline"));
    }
    let mut lines = arguments.join(&b'\n');
    lines.push(b'\n');
    Ok(lines)
}

pub(super) fn json_array(arguments: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    let arguments = arguments
        .iter()
        .map(|argument| std::str::from_utf8(argument))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| refusal("json", "is not UTF-8"))?;
    Ok(format!("{}\n", json!(arguments)).into_bytes())
}

/// Values of a configuration file stand between double quotes, as they are:
/// there is no way to escape anything.
fn config_file(machine: &Machine) -> Result<Vec<u8>, Failure> {
    let Machine { drive, firmware } = machine;
    if !firmware.smbios.is_empty() || !firmware.public.is_empty() {
        let message = "the style readconfig cannot carry OEM strings: QEMU ignores them in a file";
        return Err(Failure::new(Exit::Usage, message).hint("use --args shell"));
    }
    let mut text = match drive {
        Some(drive) => config_drive(drive)?,
        None => Vec::new(),
    };
    for FwCfgItem { name, file } in &firmware.fw_cfg {
        if name.contains('"') {
            let message = "the style readconfig cannot carry a credential's name: it holds a quote";
            return Err(Failure::new(Exit::Usage, message).hint("use --args shell"));
        }
        if !text.is_empty() {
            text.push(b'\n');
        }
        text.extend(format!("[fw_cfg]\n  name = \"{name}\"\n").bytes());
        text.extend(config_line("file", file.as_os_str().as_bytes())?);
    }
    Ok(text)
}

/// The line of a path, or of what is as plain.
fn config_line(key: &str, path: &[u8]) -> Result<Vec<u8>, Failure> {
    if path.iter().any(|byte| b"\"\n".contains(byte)) {
        return Err(refusal("readconfig", "holds a double quote or a newline"));
    }
    let line = [b"  ", key.as_bytes(), b" = \"", path, b"\""].concat();
    if line.len() > CONFIG_LINE_MAX_BYTES {
        return Err(refusal("readconfig", "is too long"));
    }
    Ok([&line[..], b"\n"].concat())
}

fn config_drive(drive: &Drive) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    for SecretObject { id, properties } in secrets(drive) {
        text.extend(format!("[object \"{id}\"]\n  qom-type = \"secret\"\n").bytes());
        for (key, value) in properties {
            text.extend(config_line(key, &value)?);
        }
        text.push(b'\n');
    }
    text.extend(format!("[drive \"{}\"]\n  if = \"none\"\n", drive.id.as_str()).bytes());
    text.extend(config_line("file", &file_name(&drive.path)?)?);
    let (format, key) = driver(drive);
    text.extend(format!("  format = \"{format}\"\n").bytes());
    if let Some(key) = key {
        text.extend(format!("  key-secret = \"{key}\"\n").bytes());
    }
    text.extend(b"  read-only = \"on\"\n");
    for Device { driver, id, properties } in devices(drive, own_slot(drive)) {
        let id = id.map_or_else(String::new, |id| format!(" \"{id}\""));
        text.extend(format!("\n[device{id}]\n  driver = \"{driver}\"\n").bytes());
        for (key, value) in properties {
            text.extend(format!("  {key} = \"{value}\"\n").bytes());
        }
    }
    Ok(text)
}

fn refusal(style: &str, fault: &str) -> Failure {
    Failure::new(Exit::Usage, format!("the style {style} cannot carry a path: it {fault}"))
        .hint("use --args shell, or another path")
}
