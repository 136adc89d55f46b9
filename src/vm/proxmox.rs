//! Proxmox VE: options of `qm set`, as qm(1) and qm.conf(5) have them.
//!
//! A drive is a property string: `key=value` pairs between commas, without any
//! escape. `args` is split into QEMU's arguments as a shell would (Perl's
//! `Text::ParseWords`), stands on one line of the configuration, and only root
//! may set it.

use std::path::Path;

use super::carry;
use super::shell;
use super::{Bus, Drive, Firmware, FwCfgItem, Machine, SmbiosFile, Target};
use crate::report::{Exit, Failure};

const TARGET: Target = Target::Proxmox;

/// One line of options for `qm set VMID`, quoted for the shell; nothing where
/// there is nothing to give.
///
/// The drive takes the last place on its bus, as the first ones are the
/// machine's own, and is left out of backups and replication, which would copy
/// it. `--args` replaces what the machine has there.
/// Whatever cannot be carried is an error of [`Exit::Usage`].
pub fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    carry::require_carried(TARGET, &machine.firmware)?;
    let mut options = Vec::new();
    if let Some(drive) = &machine.drive {
        options.extend(drive_options(drive)?.map(String::into_bytes));
    }
    let arguments = firmware_arguments(&machine.firmware)?;
    if !arguments.is_empty() {
        options.extend([b"--args".to_vec(), arguments.join(" ").into_bytes()]);
    }
    Ok(if options.is_empty() { Vec::new() } else { shell::line(&options) })
}

/// `ro` exists on these buses only. The serial is url-encoded, which leaves the
/// letters of a [`super::Serial`] as they are.
fn drive_options(drive: &Drive) -> Result<[String; 2], Failure> {
    let place = carry::bus(TARGET, drive, &[(Bus::Virtio, "virtio15"), (Bus::Scsi, "scsi30")])?;
    let path = carry::absolute_text(TARGET, &drive.path)?;
    let is_possible = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b',';
    if !path.bytes().all(is_possible) || path.ends_with(' ') {
        let fault =
            "holds a comma or something else that is not printable ASCII, or ends in a space";
        return Err(carry::no_path(TARGET, &drive.path, fault));
    }
    let serial = drive.serial.as_str();
    let drive = format!("file={path},format=raw,ro=1,serial={serial},backup=0,replicate=0");
    Ok([format!("--{place}"), drive])
}

/// QEMU's arguments, none of which needs a quote.
fn firmware_arguments(firmware: &Firmware) -> Result<Vec<String>, Failure> {
    let mut arguments = Vec::new();
    for file in &firmware.smbios {
        let value = match file {
            SmbiosFile::Structure(path) => format!("file={}", option_path(path)?),
            SmbiosFile::String(path) => format!("type=11,path={}", option_path(path)?),
        };
        arguments.extend(["-smbios".to_owned(), value]);
    }
    for public in &firmware.public {
        let text = public.oem_string();
        if !is_plain(&text) || text.contains(',') {
            let reason = "its name holds a character with a meaning in `args`";
            return Err(carry::no_public(TARGET, public, reason));
        }
        arguments.extend(["-smbios".to_owned(), format!("type=11,value={text}")]);
    }
    for FwCfgItem { name, file } in &firmware.fw_cfg {
        if !is_plain(name) {
            let message =
                "proxmox cannot carry a fw_cfg item whose name holds a quote or a backslash";
            return Err(Failure::new(Exit::Usage, message).hint("give the credential another name"));
        }
        let name = name.replace(',', ",,");
        arguments
            .extend(["-fw_cfg".to_owned(), format!("name={name},file={}", option_path(file)?)]);
    }
    Ok(arguments)
}

/// A path in a QEMU option, where a comma is doubled.
fn option_path(path: &Path) -> Result<String, Failure> {
    let text = carry::absolute_text(TARGET, path)?;
    if !is_plain(text) {
        let fault = "holds a space, a quote, a backslash or something that is not ASCII";
        return Err(carry::no_path(TARGET, path, fault));
    }
    Ok(text.replace(',', ",,"))
}

/// Whether the text is one word for `Text::ParseWords`, and every byte of it stands for itself.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(&byte))
}
