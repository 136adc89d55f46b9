//! Proxmox VE: options of `qm set`, as qm(1) and qm.conf(5) have them.
//!
//! Everything goes by `args`, the drive as well: Proxmox counts a drive of its own by an
//! absolute path among those that snapshots and migration of the machine have to take
//! along, and refuses both (`has_feature` of its `QemuConfig.pm`). `args` is split into
//! QEMU's arguments as a shell would (Perl's `Text::ParseWords`), stands on one line of the
//! configuration, and only root may set it.

use std::path::Path;

use super::facts::{
    Facts, FwCfg, KernelLine, Machines, Opener, Paths, Printed, Public, Smbios, Started, Words,
};
use super::{
    Board, Bus, Drive, Firmware, FwCfgItem, Machine, Place, SmbiosFile, Style, qemu, refusal,
};
use crate::report::shell;
use crate::report::{Exit, Failure};

/// What is known of Proxmox VE.
pub(super) static FACTS: Facts = Facts {
    name: "proxmox",
    printed: Printed::Words(words),
    styles: &[Style::Shell, Style::None],
    started: Started::Never("its machines are started by a process of its own"),
    paths: Paths::Absolute,
    // Of the other buses no test has seen a machine that migrates.
    buses: &[Bus::Virtio, Bus::Scsi, Bus::Cdrom, Bus::Sata],
    sets_serial: true,
    opens_luks1: Opener::None,
    // Its `PVE::QemuServer::Machine` names no other.
    machines: Machines::Boards(&[Board::Pc, Board::Q35, Board::Virt, Board::VirtUefi]),
    is_told_machine: false,
    smbios: Smbios::Strings,
    fw_cfg: FwCfg::Files,
    no_items: None,
    public: Public::Smbios,
    kernel_line: KernelLine::WRITTEN,
};
/// A bridge that every machine has. Proxmox gives each of its own devices a fixed slot; on
/// this bus they are 1 to 0x18 (its `PCI.pm`), and the rest is free.
const BUS: &str = "pci.2";
const LAST_SLOT: u8 = 0x1f;
const SLOTS: u8 = 7;

/// One line of options for `qm set VMID`, quoted for the shell; nothing where
/// there is nothing to give.
///
/// `--args` replaces what the machine has there.
/// Whatever cannot be carried is an error of [`Exit::Usage`].
pub fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    let arguments = words(machine)?;
    Ok(if arguments.is_empty() { Vec::new() } else { shell::line(&arguments) })
}

/// The arguments as words.
fn words(machine: &Machine) -> Result<Words, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    let mut arguments = Vec::new();
    if let Some(drive) = &machine.drive {
        arguments = drive_arguments(drive)?;
    }
    arguments.extend(firmware_arguments(&machine.firmware)?.into_iter().map(String::into_bytes));
    if let Some(initrd) = &machine.initrd {
        arguments.extend([b"-initrd".to_vec(), plain_path(initrd)?.as_bytes().to_vec()]);
    }
    if arguments.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![b"--args".to_vec(), arguments.join(&b' ')])
}

/// QEMU's arguments for the drive, none of which needs a quote.
fn drive_arguments(drive: &Drive) -> Result<Vec<Vec<u8>>, Failure> {
    refusal::require_drive(&FACTS, drive)?;
    option_path(&drive.path)?;
    let bus = ("bus", BUS.to_owned());
    let plug = match drive.place {
        Place::Auto => vec![bus],
        Place::Nth(nth) if nth > SLOTS => {
            let message = format!("proxmox has places for {SLOTS} images");
            return Err(Failure::new(Exit::Usage, message).hint("use --place 1 to 7, or auto"));
        }
        Place::Nth(nth) => vec![bus, qemu::devices::address(LAST_SLOT - nth.saturating_sub(1))],
    };
    qemu::plugged(drive, plug)
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
            return Err(refusal::no_public(&FACTS, public, reason));
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
    plain_path(path).map(|text| text.replace(',', ",,"))
}

/// A path that is one word of `args` and stands for itself.
fn plain_path(path: &Path) -> Result<&str, Failure> {
    let text = refusal::absolute_text(&FACTS, path)?;
    if !is_plain(text) {
        let fault = "holds a space, a quote, a backslash or something that is not ASCII";
        return Err(refusal::no_path(&FACTS, path, fault));
    }
    Ok(text)
}

/// Whether the text is one word for `Text::ParseWords`, and every byte of it stands for itself.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(&byte))
}
