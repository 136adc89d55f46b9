//! QEMU's arguments. Each rule about its syntax here was measured with QEMU 7.2.

mod config_file;
pub(super) mod devices;
pub mod own_machine;
pub mod secrets;
pub mod share;
pub mod taken_slots;

use std::borrow::Cow;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::json;

use self::devices::{Device, Plug};
use super::arguments::no_path;
use super::facts::{
    Facts, FwCfg, KernelLine, Machines, Opener, Paths, Printed, Public, Smbios, Started,
};
use super::{Arguments, Bus, Drive, Firmware, FwCfgItem, Machine, SmbiosFile, Style, refusal};
use crate::report::{Exit, Failure};

/// What is known of QEMU.
pub(super) static FACTS: Facts = Facts {
    name: "qemu",
    printed: Printed::Styled(styled),
    styles: &[
        Style::Shell,
        Style::Lines,
        Style::Json,
        Style::Blockdev,
        Style::Readconfig,
        Style::None,
    ],
    started: Started::Words { styles: &[Style::Shell, Style::Blockdev], words },
    paths: Paths::AsGiven,
    buses: &[Bus::Virtio, Bus::Scsi, Bus::Usb, Bus::Nvme, Bus::Cdrom, Bus::Sata],
    sets_serial: true,
    opens_luks1: Opener::Key,
    machines: Machines::All,
    is_told_machine: true,
    smbios: Smbios::Strings,
    fw_cfg: FwCfg::Files,
    no_items: None,
    public: Public::Smbios,
    kernel_line: KernelLine::WRITTEN,
};
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
    styled(machine, style)?.printed(style)
}

/// The arguments, or the configuration file, that this style writes.
fn styled(machine: &Machine, style: Style) -> Result<Arguments, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    match style {
        Style::Shell | Style::Blockdev | Style::Lines | Style::Json => {
            Ok(Arguments::Words(arguments(machine, style)?))
        }
        Style::Readconfig => Ok(Arguments::Text(config_file::render(machine)?)),
        Style::None | Style::Api | Style::Disk | Style::Sysinfo | Style::Secret => {
            Ok(Arguments::NONE)
        }
    }
}

/// The arguments as words, for a QEMU that is started with them; the styles are
/// [`Style::Blockdev`], or else that of [`Style::Shell`].
pub fn words(machine: &Machine, style: Style) -> Result<Vec<Vec<u8>>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    arguments(machine, style)
}

fn arguments(machine: &Machine, style: Style) -> Result<Vec<Vec<u8>>, Failure> {
    let Machine { drive, firmware, initrd, kernel_line: _ } = machine;
    let secrets = drive.iter().flat_map(secrets::of_drive).collect::<Vec<_>>();
    let mut arguments: Vec<_> = secrets.iter().flat_map(secrets::option).collect();
    if let Some(drive) = drive {
        let name = match drive.descriptor {
            None => file_name(&drive.path)?,
            Some(descriptor) => Cow::Owned(pass_descriptor(descriptor, &mut arguments)),
        };
        arguments.extend(if style == Style::Blockdev {
            blockdev_arguments(drive, &name)?
        } else {
            drive_arguments(drive, &name, devices::own_slot(drive))
        });
    }
    arguments.extend(firmware_arguments(firmware));
    if let Some(initrd) = initrd {
        // Of a Linux kernel a comma has no meaning here.
        arguments.extend([b"-initrd".to_vec(), plain_bytes(initrd, "initrd")?.to_vec()]);
    }
    Ok(arguments)
}

/// Adds what makes QEMU take over a descriptor that it inherits; returns the
/// name of the file by which QEMU finds it.
fn pass_descriptor(descriptor: RawFd, arguments: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let set = FDSET_START + i64::from(descriptor);
    let value = format!("fd={descriptor},set={set}");
    arguments.extend([b"-add-fd".to_vec(), value.into_bytes()]);
    format!("/dev/fdset/{set}").into_bytes()
}

/// The path in a form that QEMU takes for nothing but a file's name: a colon
/// before the first slash would end a protocol (`nbd:`, `json:`), and
/// `/dev/fdset/` stands for descriptors that were passed in.
fn file_name(path: &Path) -> Result<Cow<'_, [u8]>, Failure> {
    let bytes = plain_bytes(path, "image")?;
    let is_protocol = bytes.iter().find(|byte| b":/".contains(byte)) == Some(&b':');
    Ok(if is_protocol {
        Cow::Owned([b"./", bytes].concat())
    } else if bytes.starts_with(b"/dev/fdset/") {
        Cow::Owned([b"/.", bytes].concat())
    } else {
        Cow::Borrowed(bytes)
    })
}

/// The path as an argument can hold it; errors call it that of `what`.
fn plain_bytes<'p>(path: &'p Path, what: &str) -> Result<&'p [u8], Failure> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        let message = format!("the {what}'s path is empty or holds a NUL byte");
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(bytes)
}

/// A value in an option list: a comma is doubled; nothing else has a meaning.
pub(crate) fn escaped(value: &[u8]) -> Vec<u8> {
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

/// The drive's arguments, where its first device is plugged in by `plug` and not into the
/// machine's first PCI bus.
pub(super) fn plugged(drive: &Drive, plug: Plug) -> Result<Vec<Vec<u8>>, Failure> {
    Ok(drive_arguments(drive, &file_name(&drive.path)?, plug))
}

fn drive_arguments(drive: &Drive, path: &[u8], plug: Plug) -> Vec<Vec<u8>> {
    let path = escaped(path);
    let head = format!("if=none,id={},file=", drive.id.as_str()).into_bytes();
    let (format, key) = secrets::driver(drive);
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
        .ok_or_else(|| no_path("blockdev", "holds something that QEMU's JSON cannot"))?;
    let (format, key) = secrets::driver(drive);
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
    arguments.extend(device_arguments(drive, devices::own_slot(drive)));
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
    for Device { driver, id, properties } in devices::of_drive(drive, plug) {
        let id = id.map(|id| ("id", id));
        let mut device = driver.to_owned();
        for (key, value) in id.into_iter().chain(properties) {
            device.extend([",", key, "=", &value]);
        }
        arguments.push(b"-device".to_vec());
        arguments.push(device.into_bytes());
    }
    arguments
}
