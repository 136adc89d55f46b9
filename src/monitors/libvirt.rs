//! libvirt: elements of a domain's XML, as its format description
//! (<https://libvirt.org/formatdomain.html>) and its RELAX NG schemas have them.
//! The tests let libvirt's own validation judge them.
//!
//! Secrets go as `fw_cfg` items that name a file. OEM strings, and `fw_cfg` items
//! with a value, end up on QEMU's command line: only what is no secret may be
//! such an item.

use std::path::Path;

use super::facts::{Facts, FwCfg, KernelLine, Machines, Paths, Printed, Public, Smbios, Started};
use super::{
    Block, Bus, Drive, Firmware, FwCfgItem, ITEM_PREFIX, Machine, PublicCredential, Style, refusal,
};
use crate::report::{Exit, Failure};

/// What is known of libvirt.
pub(super) static FACTS: Facts = Facts {
    name: "libvirt",
    printed: Printed::Text(render),
    styles: &[Style::Shell, Style::None],
    started: Started::Never("its machines are started by a process of its own"),
    paths: Paths::Absolute,
    buses: &[Bus::Virtio, Bus::Usb],
    sets_serial: true,
    opens_luks1: false,
    machines: Machines::All,
    is_told_machine: false,
    smbios: Smbios::Refused(
        "it puts OEM strings on QEMU's command line, which every user of the host can read",
    ),
    fw_cfg: FwCfg::Files,
    no_items: None,
    public: Public::Smbios,
    kernel_line: KernelLine::WRITTEN,
};
/// Longest name of a `fw_cfg` item in bytes (QEMU's `FW_CFG_MAX_FILE_PATH` less its NUL).
const NAME_MAX_BYTES: usize = 55;

/// An `<initrd>` where the machine has one of ours, which belongs into `<os>`, beside its
/// `<kernel>`; a `<sysinfo>` where anything goes by `fw_cfg`, which belongs into `<domain>`,
/// then a `<disk>` where there is a drive, which belongs into `<devices>`;
/// `virsh attach-device` takes the latter as it is.
///
/// The disk takes the last single letters, as the first ones are the machine's
/// own: libvirt orders disks by them. It is left out of snapshots, which would copy it.
/// Whatever cannot be carried is an error of [`Exit::Usage`].
pub fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    let Firmware { fw_cfg, public, .. } = &machine.firmware;
    let mut xml = String::new();
    if let Some(initrd) = &machine.initrd {
        xml = format!("<initrd>{}</initrd>\n", path(initrd)?);
    }
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
    if ITEM_PREFIX.len() + name.len() > NAME_MAX_BYTES || !is_plain(name) {
        let reason = "its name has more than 28 characters or holds one of & < > ' \"";
        return Err(refusal::no_public(&FACTS, public, reason));
    }
    if !value.chars().all(|character| character == '\n' || is_printable(character)) {
        let reason = "its value holds a control character";
        return Err(refusal::no_public(&FACTS, public, reason));
    }
    Ok(format!("  <entry name='{ITEM_PREFIX}{name}'>{}</entry>\n", escaped(value)))
}

/// Whether the name needs no escape: libvirt reads one in a name, but forgets to
/// write it when it stores the domain (measured with 9.0).
fn is_plain(name: &str) -> bool {
    !name.contains(['&', '<', '>', '\'', '"'])
}

fn disk(drive: &Drive) -> Result<String, Failure> {
    refusal::require_drive(&FACTS, drive)?;
    let (bus, class, has_blocks) = match drive.bus {
        Bus::Virtio => ("virtio", "vd", true),
        // libvirt's `usb-storage` has one size of blocks.
        Bus::Usb => ("usb", "sd", false),
        Bus::Scsi | Bus::Nvme | Bus::Cdrom => return Err(refusal::no_bus(&FACTS, drive.bus)),
    };
    let letter = drive.place.last_letter();
    let blocks = match drive.block {
        Block::Cd | Block::Page if has_blocks => {
            let bytes = drive.block.bytes();
            format!("  <blockio logical_block_size='{bytes}' physical_block_size='{bytes}'/>\n")
        }
        Block::Small | Block::Cd | Block::Page => String::new(),
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
    let text = refusal::absolute_text(&FACTS, path)?;
    if !text.chars().all(is_printable) {
        return Err(refusal::no_path(&FACTS, path, "holds a control character"));
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
