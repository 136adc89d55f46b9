//! systemd-vmspawn: its arguments, as systemd-vmspawn(1) and its parser
//! (src/vmspawn/vmspawn.c, src/shared/machine-credential.c) have them.

use std::fmt::Write;

use super::facts::{
    Facts, FwCfg, KernelLine, Machines, Opener, Paths, Printed, Public, Smbios, Started, Words,
};
use super::{Bus, Drive, Firmware, Machine, PublicCredential, Style, refusal};
use crate::report::shell;
use crate::report::{Exit, Failure};

/// What is known of systemd-vmspawn.
pub(super) static FACTS: Facts = Facts {
    name: "vmspawn",
    printed: Printed::Words(words),
    styles: &[Style::Shell, Style::None],
    started: Started::Never("its machines are started by a process of its own"),
    paths: Paths::Absolute,
    buses: &[Bus::Virtio, Bus::Scsi, Bus::Nvme, Bus::Cdrom],
    sets_serial: false,
    opens_luks1: Opener::None,
    // It takes the one of its processor.
    machines: Machines::All,
    is_told_machine: false,
    smbios: Smbios::Credentials,
    fw_cfg: FwCfg::Refused("it chooses between SMBIOS and fw_cfg itself: ask for `smbios`"),
    no_items: Some("it passes on no items"),
    // It takes fw_cfg, or else the kernel's command line, for a short name.
    public: Public::Always,
    kernel_line: KernelLine::WRITTEN,
};

/// One line of `--load-credential=`, `--set-credential=`, `--initrd=`, and `--bind-volume=` or
/// `--extra-drive=`, quoted for the shell; nothing where there is nothing to give.
///
/// The program opens extra drives for writing, and there is no option against it, but for CD-ROMs
/// and for volumes (both from systemd 261 on): only such a drive is accepted. The guest finds it by
/// its label: its serial is made from the file's name.
/// Whatever cannot be carried is an error of [`Exit::Usage`].
pub fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    let arguments = words(machine)?;
    Ok(if arguments.is_empty() { Vec::new() } else { shell::line(&arguments) })
}

/// The arguments as words.
fn words(machine: &Machine) -> Result<Words, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    let Firmware { credentials, public, .. } = &machine.firmware;
    let mut arguments = Vec::new();
    for credential in credentials {
        require_name(&credential.name)?;
        // Everything behind the first colon is the path; a name without a slash
        // would be one of the caller's own credentials.
        let path = refusal::absolute_text(&FACTS, &credential.file)?;
        arguments.push(format!("--load-credential={}:{path}", credential.name).into_bytes());
    }
    for PublicCredential { name, value } in public {
        require_name(name)?;
        arguments.push(format!("--set-credential={name}:{}", escaped(value)).into_bytes());
    }
    if let Some(initrd) = &machine.initrd {
        let path = refusal::absolute_text(&FACTS, initrd)?;
        arguments.push(format!("--initrd={path}").into_bytes());
    }
    if let Some(drive) = &machine.drive {
        arguments.push(read_only_drive(drive)?.into_bytes());
    }
    Ok(arguments)
}

/// A drive that the guest cannot write: a CD-ROM by its path, any other one as a volume of the
/// provider `fs`, which opens it for reading (systemd-storage-fs(8); src/shared/machine-util.c has
/// the grammar).
fn read_only_drive(drive: &Drive) -> Result<String, Failure> {
    refusal::require_drive(&FACTS, drive)?;
    let path = refusal::absolute_text(&FACTS, &drive.path)?;
    let device = match drive.bus {
        Bus::Virtio => "virtio-blk",
        Bus::Scsi => "virtio-scsi",
        Bus::Nvme => "nvme",
        Bus::Cdrom => {
            // Formats and kinds of disk were taken from either end of the argument,
            // whatever stood between colons; a backslash would be an escape.
            if path.contains([':', '\\']) {
                let fault = "holds a colon or a backslash";
                return Err(refusal::no_path(&FACTS, &drive.path, fault));
            }
            return Ok(format!("--extra-drive=raw:scsi-cd:{path}"));
        }
        Bus::Usb | Bus::Sata => return Err(refusal::no_bus(&FACTS, drive.bus)),
    };
    let Some(volume) = volume(path) else {
        let message = "vmspawn attaches every drive writable but a CD-ROM and a volume of \
                       /var/lib/storage: the guest could change the image";
        let hint = "use --bus cdrom, or let the image be /var/lib/storage/NAME.volume, of letters, \
                    digits, `_` and `-`";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    };
    Ok(format!("--bind-volume=fs:{volume}:{device}:read-only=yes"))
}

/// The name of the volume that the file with this path is.
fn volume(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/var/lib/storage/")?.strip_suffix(".volume")?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_word)).then_some(name)
}

/// The name ends at the first colon; a backslash in it would be an escape.
fn require_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.contains([':', '\\']) {
        let message = "vmspawn cannot carry a credential whose name is empty or holds a colon or \
                       a backslash";
        return Err(Failure::new(Exit::Usage, message).hint("give it another name"));
    }
    Ok(())
}

/// A literal value, whose C escapes are undone (`cunescape` of systemd).
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            control if control.is_ascii_control() => {
                let _ = write!(text, "\\x{:02x}", u32::from(control)); // A String takes everything.
            }
            other => text.push(other),
        }
    }
    text
}
