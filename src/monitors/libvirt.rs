//! libvirt: elements of a domain's XML, as its format description
//! (<https://libvirt.org/formatdomain.html>) and its RELAX NG schemas have them.
//! The tests let libvirt's own validation judge them.
//!
//! Secrets go as `fw_cfg` items that name a file. OEM strings, and `fw_cfg` items
//! with a value, end up on QEMU's command line: only what is no secret may be
//! such an item.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::facts::{
    Facts, FwCfg, KernelLine, Machines, Opener, Paths, Printed, Public, Smbios, Started,
};
use super::{
    Arguments, Block, Bus, Drive, DriveKey, Firmware, FwCfgItem, ITEM_PREFIX, Machine, Place,
    PublicCredential, Style, refusal,
};
use crate::report::{self, Exit, Failure};

/// What is known of libvirt.
pub(super) static FACTS: Facts = Facts {
    name: "libvirt",
    printed: Printed::Styled(|machine, style| Ok(Arguments::Text(render(machine, style)?))),
    styles: &[Style::Shell, Style::Disk, Style::Sysinfo, Style::Secret, Style::None],
    started: Started::Never("its machines are started by a process of its own"),
    paths: Paths::Absolute,
    buses: &[Bus::Virtio, Bus::Usb, Bus::Sata],
    sets_serial: true,
    opens_luks1: Opener::Secret(secret_note),
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
/// Ports of a SATA controller.
const SATA_PORTS: u8 = 6;

/// One well-formed document, or nothing where there is nothing to give. Of a style for one
/// element it is that: `virsh attach-device` takes the `<disk>`, and `virsh secret-define` the
/// `<secret>`. Else it is the `<disk>` where that is all, and a `<domain>` that shows where each
/// element belongs where there is more.
///
/// The disk takes the last letters, as the first ones are the machine's
/// own: libvirt orders disks by them. It is left out of snapshots, which would copy it.
/// Whatever cannot be carried is an error of [`Exit::Usage`].
pub fn render(machine: &Machine, style: Style) -> Result<Vec<u8>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    let disk = || machine.drive.as_ref().map_or_else(|| Ok(String::new()), disk);
    let xml = match style {
        Style::Disk => disk()?,
        Style::Sysinfo => sysinfo(&machine.firmware)?,
        Style::Secret => machine.drive.as_ref().map_or_else(|| Ok(String::new()), secret)?,
        Style::Shell
        | Style::Lines
        | Style::Json
        | Style::Blockdev
        | Style::Readconfig
        | Style::Api
        | Style::None => domain(&os(machine)?, &sysinfo(&machine.firmware)?, disk()?),
    };
    Ok(xml.into_bytes())
}

fn domain(os: &str, sysinfo: &str, disk: String) -> String {
    if os.is_empty() && sysinfo.is_empty() {
        return disk;
    }
    let (os, devices) = (wrapped("os", os), wrapped("devices", &disk));
    wrapped("domain", &[&os, sysinfo, &devices].concat())
}

/// The element `name` around others, a step further in; nothing around nothing. No line of
/// theirs begins within a value.
fn wrapped(name: &str, inner: &str) -> String {
    if inner.is_empty() {
        return String::new();
    }
    let mut text = format!("<{name}>\n");
    for line in inner.lines() {
        text.extend(["  ", line, "\n"]);
    }
    text.extend(["</", name, ">\n"]);
    text
}

/// What stands in `<os>` beside the machine's own `<kernel>`.
fn os(machine: &Machine) -> Result<String, Failure> {
    let initrd = machine.initrd.as_ref().map(|initrd| path(initrd)).transpose()?;
    Ok(initrd.map_or_else(String::new, |path| format!("<initrd>{path}</initrd>\n")))
}

fn sysinfo(firmware: &Firmware) -> Result<String, Failure> {
    let files = firmware.fw_cfg.iter().map(file_entry);
    let entries = files.chain(firmware.public.iter().map(value_entry));
    let entries = entries.collect::<Result<String, _>>()?;
    if entries.is_empty() {
        return Ok(entries);
    }
    Ok(format!("<sysinfo type='fwcfg'>\n{entries}</sysinfo>\n"))
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
    // A line break is written as a reference, so that the value stands on one line.
    let value = escaped(value).replace('\n', "&#10;");
    Ok(format!("  <entry name='{ITEM_PREFIX}{name}'>{value}</entry>\n"))
}

/// Whether the name needs no escape: libvirt reads one in a name, but forgets to
/// write it when it stores the domain (measured with 9.0).
fn is_plain(name: &str) -> bool {
    !name.contains(['&', '<', '>', '\'', '"'])
}

fn disk(drive: &Drive) -> Result<String, Failure> {
    refusal::require_drive(&FACTS, drive)?;
    let (device, bus, target, has_blocks) = match drive.bus {
        Bus::Virtio => ("disk", "virtio", format!("vd{}", drive.place.last_letter()), true),
        // libvirt's `usb-storage` has one size of blocks.
        Bus::Usb => ("disk", "usb", format!("sd{}", drive.place.last_letter()), false),
        Bus::Sata => ("cdrom", "sata", format!("sd{}", sata_letter(drive.place)?), false),
        Bus::Scsi | Bus::Nvme | Bus::Cdrom => return Err(refusal::no_bus(&FACTS, drive.bus)),
    };
    let blocks = match drive.block {
        Block::Cd | Block::Page if has_blocks => {
            let bytes = drive.block.bytes();
            format!("  <blockio logical_block_size='{bytes}' physical_block_size='{bytes}'/>\n")
        }
        Block::Small | Block::Cd | Block::Page => String::new(),
    };
    let file = path(&drive.path)?;
    let source = match &drive.key {
        None => format!("  <source file='{file}'/>\n"),
        Some(DriveKey::File(_)) => format!(
            "  <source file='{file}'>\n    \
             <encryption format='luks'>\n      \
             <secret type='passphrase' uuid='{}'/>\n    \
             </encryption>\n  \
             </source>\n",
            secret_uuid(drive)
        ),
        Some(DriveKey::Wrapped { .. }) => {
            let message = "libvirt takes no key that is wrapped with a master key";
            let hint = "leave --master-key out: libvirt wraps the key itself";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
    };
    Ok(format!(
        "<disk type='file' device='{device}' snapshot='no'>\n  \
         <driver name='qemu' type='raw'/>\n\
         {source}  \
         <target dev='{target}' bus='{bus}'/>\n\
         {blocks}  \
         <readonly/>\n  \
         <serial>{}</serial>\n\
         </disk>\n",
        drive.serial.as_str(),
    ))
}

/// The letter of a disk on the first SATA controller, which has six ports and is there on q35:
/// libvirt would make all controllers up to that of a later letter.
fn sata_letter(place: Place) -> Result<char, Failure> {
    let before = match place {
        Place::Auto => 0,
        Place::Nth(nth) => nth.saturating_sub(1),
    };
    if before < SATA_PORTS {
        return Ok(char::from(b'a' + (SATA_PORTS - 1 - before)));
    }
    let message = format!("libvirt has places for {SATA_PORTS} images on the bus sata");
    Err(Failure::new(Exit::Usage, message).hint("use --place 1 to 6, or auto"))
}

/// The secret that opens a LUKS1 image: only in the memory of libvirt's daemon, which gives it to
/// nobody but the machine. Nothing of an image that is none.
fn secret(drive: &Drive) -> Result<String, Failure> {
    if drive.key.is_none() {
        return Ok(String::new());
    }
    Ok(format!(
        "<secret ephemeral='yes' private='yes'>\n  \
         <uuid>{}</uuid>\n  \
         <usage type='volume'>\n    \
         <volume>{}</volume>\n  \
         </usage>\n\
         </secret>\n",
        secret_uuid(drive),
        path(&drive.path)?,
    ))
}

/// The UUID of that secret, which stays the same from build to build: it is made of the image's
/// path, by which it is one on its host (RFC 9562, 5.8).
fn secret_uuid(drive: &Drive) -> String {
    let mut digest = Sha256::new_with_prefix(b"credimg: secret of libvirt for ");
    digest.update(drive.path.as_os_str().as_bytes());
    let mut bytes = [0; 16];
    for (byte, digested) in bytes.iter_mut().zip(digest.finalize()) {
        *byte = digested;
    }
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xf << 76 | 0b11 << 62) | 0x8 << 76 | 0b10 << 62;
    credimg_formats::uuid_text(number.to_be_bytes())
}

/// What people do before the machine starts, so that libvirt has the key of `drive`.
fn secret_note(drive: &Drive) -> Option<String> {
    let Some(DriveKey::File(key)) = &drive.key else { return None };
    Some(format!(
        "libvirt opens the disk with a secret: define what --args secret prints, by `virsh \
         secret-define`, and give it the key by `virsh secret-set-value {} --plain --file {}`",
        secret_uuid(drive),
        report::shell_word(key),
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
