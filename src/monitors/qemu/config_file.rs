//! A configuration file for QEMU's `-readconfig`. Values stand between double quotes, as they
//! are: there is no way to escape anything.

use std::os::unix::ffi::OsStrExt;

use super::devices::{self, Device};
use super::file_name;
use super::secrets::{self, SecretObject};
use crate::monitors::arguments::no_path;
use crate::monitors::{Drive, FwCfgItem, Machine};
use crate::report::{Exit, Failure};

/// Longest line of a `-readconfig` file in bytes, without its newline: QEMU
/// reads lines into 1024 bytes and takes the rest for a line of its own.
const LINE_MAX_BYTES: usize = 1023;

/// The file for a machine; an error of [`Exit::Usage`] where it cannot hold what is given.
pub(super) fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    let Machine { drive, firmware, initrd, kernel_line: _ } = machine;
    if !firmware.smbios.is_empty() || !firmware.public.is_empty() {
        let message = "the style readconfig cannot carry OEM strings: QEMU ignores them in a file";
        return Err(Failure::new(Exit::Usage, message).hint("use --args shell"));
    }
    let mut text = match drive {
        Some(drive) => drive_sections(drive)?,
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
        text.extend(line("file", file.as_os_str().as_bytes())?);
    }
    if let Some(initrd) = initrd {
        if !text.is_empty() {
            text.push(b'\n');
        }
        text.extend(b"[machine]\n");
        text.extend(line("initrd", initrd.as_os_str().as_bytes())?);
    }
    Ok(text)
}

/// The line of a path, or of what is as plain.
fn line(key: &str, path: &[u8]) -> Result<Vec<u8>, Failure> {
    if path.iter().any(|byte| b"\"\n".contains(byte)) {
        return Err(no_path("readconfig", "holds a double quote or a newline"));
    }
    let text = [b"  ", key.as_bytes(), b" = \"", path, b"\""].concat();
    if text.len() > LINE_MAX_BYTES {
        return Err(no_path("readconfig", "is too long"));
    }
    Ok([&text[..], b"\n"].concat())
}

fn drive_sections(drive: &Drive) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    for SecretObject { id, properties } in secrets::of_drive(drive) {
        text.extend(format!("[object \"{id}\"]\n  qom-type = \"secret\"\n").bytes());
        for (key, value) in properties {
            text.extend(line(key, &value)?);
        }
        text.push(b'\n');
    }
    text.extend(format!("[drive \"{}\"]\n  if = \"none\"\n", drive.id.as_str()).bytes());
    text.extend(line("file", &file_name(&drive.path)?)?);
    let (format, key) = secrets::driver(drive);
    text.extend(format!("  format = \"{format}\"\n").bytes());
    if let Some(key) = key {
        text.extend(format!("  key-secret = \"{key}\"\n").bytes());
    }
    text.extend(b"  read-only = \"on\"\n");
    for Device { driver, id, properties } in devices::of_drive(drive, devices::own_slot(drive)) {
        let id = id.map_or_else(String::new, |id| format!(" \"{id}\""));
        text.extend(format!("\n[device{id}]\n  driver = \"{driver}\"\n").bytes());
        for (key, value) in properties {
            text.extend(format!("  {key} = \"{value}\"\n").bytes());
        }
    }
    Ok(text)
}
