//! libvirt: elements of a domain's XML, as its format description
//! (<https://libvirt.org/formatdomain.html>) and its RELAX NG schemas have them.
//! The tests let libvirt's own validation judge them.
//!
//! Secrets go as `fw_cfg` items that name a file. OEM strings, and `fw_cfg` items
//! with a value, end up on QEMU's command line: only what is no secret may be
//! such an item.

use std::path::Path;

use super::carry;
use super::{Block, Bus, Drive, Firmware, FwCfgItem, Machine, Monitor, PublicCredential};
use crate::report::{Exit, Failure};

const TARGET: Monitor = Monitor::Libvirt;
/// What systemd imports as credentials (systemd.system-credentials(7)).
const PREFIX: &str = "opt/io.systemd.credentials/";
/// Longest name of a `fw_cfg` item in bytes (QEMU's `FW_CFG_MAX_FILE_PATH` less its NUL).
const NAME_MAX_BYTES: usize = 55;

/// A `<sysinfo>` where anything goes by `fw_cfg`, which belongs into `<domain>`,
/// then a `<disk>` where there is a drive, which belongs into `<devices>`;
/// `virsh attach-device` takes the latter as it is.
///
/// The disk takes the last single letters, as the first ones are the machine's
/// own: libvirt orders disks by them. It is left out of snapshots, which would copy it.
/// Whatever cannot be carried is an error of [`Exit::Usage`].
pub fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    carry::require_carried(TARGET, &machine.firmware)?;
    let Firmware { fw_cfg, public, .. } = &machine.firmware;
    let mut xml = String::new();
    if !fw_cfg.is_empty() || !public.is_empty() {
        xml.push_str("<sysinfo type='fwcfg'>\n");
        for item in fw_cfg {
            xml.push_str(&file_entry(item)?);
        }
        for credential in public {
            xml.push_str(&value_entry(credential)?);
        }
        xml.push_str("</sysinfo>\n");
    }
    if let Some(drive) = &machine.drive {
        xml.push_str(&disk(drive)?);
    }
    Ok(xml.into_bytes())
}

fn file_entry(FwCfgItem { name, file }: &FwCfgItem) -> Result<String, Failure> {
    if !is_plain(name) {
        let message = "libvirt cannot carry a fw_cfg item whose name holds one of & < > ' \"";
        return Err(Failure::new(Exit::Usage, message).hint("give the credential another name"));
    }
    Ok(format!("  <entry name='{name}' file='{}'/>\n", path(file)?))
}

/// A value on QEMU's command line, for everybody to see.
fn value_entry(public: &PublicCredential) -> Result<String, Failure> {
    let PublicCredential { name, value } = public;
    if PREFIX.len() + name.len() > NAME_MAX_BYTES || !is_plain(name) {
        let reason = "its name has more than 28 characters or holds one of & < > ' \"";
        return Err(carry::no_public(TARGET, public, reason));
    }
    if !value.chars().all(|character| character == '\n' || is_printable(character)) {
        let reason = "its value holds a control character";
        return Err(carry::no_public(TARGET, public, reason));
    }
    Ok(format!("  <entry name='{PREFIX}{name}'>{}</entry>\n", escaped(value)))
}

/// Whether the name needs no escape: libvirt reads one in a name, but forgets to
/// write it when it stores the domain (measured with 9.0).
fn is_plain(name: &str) -> bool {
    !name.contains(['&', '<', '>', '\'', '"'])
}

fn disk(drive: &Drive) -> Result<String, Failure> {
    let bus = carry::bus(TARGET, drive, &[(Bus::Virtio, "virtio"), (Bus::Usb, "usb")])?;
    let class = if drive.bus == Bus::Virtio { "vd" } else { "sd" };
    let letter = drive.place.last_letter();
    // libvirt's `usb-storage` has no such choice.
    let block = drive.block.bytes();
    let blocks = if drive.block == Block::Small || drive.bus == Bus::Usb {
        String::new()
    } else {
        format!("  <blockio logical_block_size='{block}' physical_block_size='{block}'/>\n")
    };
    Ok(format!(
        "<disk type='file' device='disk' snapshot='no'>\n  \
         <driver name='qemu' type='raw'/>\n  \
         <source file='{}'/>\n  \
         <target dev='{class}{letter}' bus='{bus}'/>\n\
         {blocks}  \
         <readonly/>\n  \
         <serial>{}</serial>\n\
         </disk>\n",
        path(&drive.path)?,
        drive.serial.as_str(),
    ))
}

/// A path as the value of an attribute. The schema's pattern for paths has no
/// place for a line break, XML 1.0 none for other control characters.
fn path(path: &Path) -> Result<String, Failure> {
    let text = carry::absolute_text(TARGET, path)?;
    if !text.chars().all(is_printable) {
        return Err(carry::no_path(TARGET, path, "holds a control character"));
    }
    Ok(escaped(text))
}

/// What XML 1.0 (2.2) can hold, less control characters.
fn is_printable(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{fffe}' | '\u{ffff}')
}

/// Character data, also between single or double quotes (XML 1.0, 2.4).
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '\'' => xml.push_str("&apos;"),
            '"' => xml.push_str("&quot;"),
            other => xml.push(other),
        }
    }
    xml
}
