//! What a virtual machine monitor is told: one model of what a machine is
//! given, and one renderer a target. The renderers are pure: they see paths,
//! ids, serials and public text, never a secret.

mod carry;
pub mod cloud_hypervisor;
pub mod crosvm;
pub mod firecracker;
pub mod libvirt;
mod machine_type;
pub mod own_machine;
mod own_slots;
mod place;
pub mod proxmox;
pub mod qemu;
pub mod share;
pub mod vmspawn;

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use clap::ValueEnum;

use crate::keys::wrap::Wrapped;
pub use crate::manifest::Channel;
use crate::report::{Exit, Failure};
pub use machine_type::{Board, MachineType};
pub use own_slots::free_place;
pub use place::{Block, Place};

/// Everything that a machine is given.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The disk of secrets; none where everything goes by the firmware.
    pub drive: Option<Drive>,
    /// What goes by the firmware.
    pub firmware: Firmware,
}

impl From<Drive> for Machine {
    /// A machine that is given a disk alone.
    fn from(drive: Drive) -> Self {
        Self { drive: Some(drive), firmware: Firmware::default() }
    }
}

/// What reaches the guest by its firmware. Secret values are in private files,
/// of which only the paths are here: absolute, or relative to the directory
/// that the monitor starts in. The planner fills only what the [`Monitor`] carries.
#[derive(Clone, Debug, Default)]
pub struct Firmware {
    /// OEM strings (SMBIOS type 11). Either one `Structure` or any number of
    /// `String`s, never both: QEMU takes a type from files or from fields.
    pub smbios: Vec<SmbiosFile>,
    /// Items of QEMU's firmware configuration device.
    pub fw_cfg: Vec<FwCfgItem>,
    /// Credentials that the monitor reads from files itself, as systemd-vmspawn does.
    pub credentials: Vec<CredentialFile>,
    /// Credentials that are no secret and may stand on a command line. Empty
    /// beside an SMBIOS `Structure`, which then holds them too.
    pub public: Vec<PublicCredential>,
}

/// A private file of OEM strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmbiosFile {
    /// One raw type-11 structure: `-smbios file=PATH`.
    Structure(PathBuf),
    /// One string, without NUL: `-smbios type=11,path=PATH`.
    String(PathBuf),
}

/// One item of QEMU's firmware configuration device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FwCfgItem {
    /// The whole name, such as `opt/io.systemd.credentials/NAME`: at most 55 printable
    /// ASCII characters, of which a comma may be one.
    pub name: String,
    /// The private file that holds the value, byte for byte.
    pub file: PathBuf,
}

/// One credential in a private file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFile {
    /// A credential's name by systemd's rules: printable ASCII without `/` and `:`.
    pub name: String,
    /// The private file that holds the value, byte for byte.
    pub file: PathBuf,
}

/// A credential that is no secret, such as `fstab.extra`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicCredential {
    /// A credential's name by systemd's rules, without `=`.
    pub name: String,
    /// Its value: text without NUL, perhaps of several lines.
    pub value: String,
}

impl PublicCredential {
    /// The OEM string that systemd imports: printable ASCII without comma,
    /// quote or space, because the value is in base64 (systemd.system-credentials(7)).
    pub fn oem_string(&self) -> String {
        let value = base64::engine::general_purpose::STANDARD.encode(&self.value);
        format!("io.systemd.credential.binary:{}={value}", self.name)
    }
}

/// How OEM strings are given to QEMU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SmbiosForm {
    /// One file with all of them, for every QEMU
    #[default]
    File,
    /// One file a string, beside `-smbios type=11` of your own, for QEMU from 10.0 or 7.2.18 on
    Path,
}

/// The virtual machine monitor that the arguments are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Monitor {
    /// QEMU's own command line, in the style of --args
    #[default]
    Qemu,
    /// Elements of a libvirt domain's XML
    Libvirt,
    /// `qm set` arguments of Proxmox VE
    Proxmox,
    /// Arguments of systemd-vmspawn
    Vmspawn,
    /// Arguments of Cloud Hypervisor
    CloudHypervisor,
    /// Arguments of crosvm
    Crosvm,
    /// JSON of Firecracker's API
    Firecracker,
}

impl Monitor {
    /// The name in options and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Libvirt => "libvirt",
            Self::Proxmox => "proxmox",
            Self::Vmspawn => "vmspawn",
            Self::CloudHypervisor => "cloud-hypervisor",
            Self::Crosvm => "crosvm",
            Self::Firecracker => "firecracker",
        }
    }

    /// Whether the disk has the serial that was asked for; else the monitor makes one up.
    pub fn sets_serial(self) -> bool {
        !matches!(self, Self::Vmspawn | Self::Firecracker)
    }

    /// Whether its machines can be, or be like, this one of QEMU. systemd-vmspawn takes the one
    /// of its processor, and Cloud Hypervisor has SMBIOS tables on x86 alone.
    pub fn has_machine(self, machine: MachineType) -> bool {
        match self {
            Self::Qemu | Self::Libvirt | Self::Vmspawn | Self::CloudHypervisor => true,
            // Its `PVE::QemuServer::Machine` names no other.
            Self::Proxmox => {
                matches!(machine.board, Board::Pc | Board::Q35 | Board::Virt | Board::VirtUefi)
            }
            Self::Crosvm | Self::Firecracker => false,
        }
    }

    /// Whether a credential that is no secret can be given as an argument and reaches the
    /// guest of such a machine.
    pub fn carries_public(self, machine: Option<MachineType>) -> bool {
        let has_smbios = machine.is_none_or(|machine| machine.carries(Channel::Smbios).is_ok());
        match self {
            Self::Qemu | Self::Libvirt | Self::Proxmox => has_smbios,
            // It takes fw_cfg, or else the kernel's command line, for a short name.
            Self::Vmspawn => true,
            Self::CloudHypervisor => {
                has_smbios && machine.is_none_or(|machine| machine.board != Board::VirtUefi)
            }
            Self::Crosvm | Self::Firecracker => false,
        }
    }

    /// Whether secrets can go by `channel` without anybody else on the host
    /// seeing them; if not, the reason, in lower case and without a full stop.
    pub fn carries(self, channel: Channel) -> Result<(), &'static str> {
        const OEM_STRINGS: &str = "OEM strings would stand in its arguments, which every user of \
                                   the host can read";
        match (self, channel) {
            (_, Channel::Disk)
            | (Self::Qemu | Self::Proxmox, Channel::Smbios | Channel::FwCfg)
            // systemd-vmspawn chooses the channel itself, and takes files.
            | (Self::Vmspawn, Channel::Smbios)
            | (Self::Libvirt, Channel::FwCfg) => Ok(()),
            (Self::Libvirt, Channel::Smbios) => Err(
                "it puts OEM strings on QEMU's command line, which every user of the host can read",
            ),
            (Self::CloudHypervisor | Self::Crosvm, Channel::Smbios) => Err(OEM_STRINGS),
            (Self::Firecracker, Channel::Smbios) => Err("it has no SMBIOS tables"),
            (Self::Vmspawn, Channel::FwCfg) => {
                Err("it chooses between SMBIOS and fw_cfg itself: ask for `smbios`")
            }
            (Self::CloudHypervisor, Channel::FwCfg) => {
                Err("its fw_cfg device is a feature that its releases are built without")
            }
            (Self::Crosvm, Channel::FwCfg) => {
                Err("its fw_cfg device is on x86 alone and not in every release")
            }
            (Self::Firecracker, Channel::FwCfg) => Err("it has no fw_cfg device"),
        }
    }
}

/// The drive to attach. It is read-only on every bus and in every style.
#[derive(Clone, Debug)]
pub struct Drive {
    /// Names the drive in the monitor, and the controllers that come with it.
    pub id: DriveId,
    /// What the guest finds the disk by.
    pub serial: Serial,
    /// The image, absolute or relative to the directory the monitor starts in.
    pub path: PathBuf,
    /// The descriptor, above 2, that the monitor inherits the image as, if it
    /// does; `path` then leads to the same file in the monitor's own process.
    pub descriptor: Option<RawFd>,
    /// The device that the guest sees.
    pub bus: Bus,
    /// Where it stands among the disks of the machine.
    pub place: Place,
    /// What the guest reads at once, where the bus leaves the choice.
    pub block: Block,
    /// The machine that it is for, where that is known.
    pub machine_type: Option<MachineType>,
    /// What opens a LUKS1 image on the host, so that the guest sees the plain disk.
    pub key: Option<DriveKey>,
}

/// Where QEMU has the key of an encrypted image from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriveKey {
    /// A private file that holds it.
    File(PathBuf),
    /// The arguments themselves, wrapped: public without the master key.
    Wrapped {
        /// The private file of the master key, in base64.
        master: PathBuf,
        /// The key, wrapped with it.
        key: Wrapped,
    },
}

/// The device that the guest sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Bus {
    /// virtio-blk: /dev/vdX in the guest
    #[default]
    Virtio,
    /// A hard disk on its own virtio-scsi controller: /dev/sdX in the guest
    Scsi,
    /// A USB stick on its own xHCI controller: /dev/sdX in the guest
    Usb,
    /// An NVM Express disk: /dev/nvmeXn1 in the guest
    Nvme,
    /// A CD-ROM on its own virtio-scsi controller: /dev/srX in the guest, open to its group cdrom
    Cdrom,
}

impl Bus {
    /// What people should know before they use this bus for secrets.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Cdrom => Some(
                "guests give CD-ROM drives (/dev/sr0) to the group cdrom and to whoever sits at the \
                 console: they can read the whole disk, and desktops mount it with owners and \
                 modes of their own; prefer --bus virtio",
            ),
            Self::Virtio | Self::Scsi | Self::Usb | Self::Nvme => None,
        }
    }
}

/// How the arguments are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// One line of -drive and -device, quoted for the shell's `eval`
    #[default]
    Shell,
    /// One argument a line, unquoted
    Lines,
    /// A JSON array of strings, one an argument
    Json,
    /// One line of -blockdev and -device, quoted for the shell
    Blockdev,
    /// A configuration file for -readconfig
    Readconfig,
    /// Nothing
    None,
}

/// A disk's serial number: 1 to 20 ASCII letters, digits, dots, underscores
/// and hyphens. Every bus carries these unchanged (virtio has 20 bytes and QEMU
/// cuts a longer one in silence), and so does udev in `/dev/disk/by-id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serial(String);

impl Serial {
    /// Longest serial in bytes: `VIRTIO_BLK_ID_BYTES` (virtio 1.2, 5.2.6), also of `SN` in NVM Express.
    pub const MAX_BYTES: usize = 20;

    /// Checks a serial that was asked for.
    pub fn new(text: &str) -> Result<Self, Failure> {
        let start = if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(()) };
        start.and_then(|()| check_word(text, Self::MAX_BYTES)).map_err(|fault| {
            Failure::new(Exit::Usage, format!("the drive's serial is not usable: {fault}"))
        })?;
        Ok(Self(text.to_owned()))
    }

    /// The serial of a disk with this volume label: the label in lower case.
    pub fn from_label(label: &str) -> Result<Self, Failure> {
        Self::new(&label.to_ascii_lowercase()).map_err(|failure| {
            failure.hint("the serial comes from the volume label: give another one with --serial")
        })
    }

    /// The serial of a disk without a label, from the image's file name up to its extension:
    /// in lower case, with `-` for what no serial holds, and the last of it where it is too
    /// long, as numbers stand at the end. So images of several names go with one machine. An
    /// image that has no name, in memory or a stream, has the serial `credimg`.
    pub fn from_path(image: &Path) -> Self {
        let is_unnamed = image.as_os_str() == "-" || image.starts_with("/proc/self/fd");
        let stem = image.file_stem().filter(|_| !is_unnamed).unwrap_or(OsStr::new("credimg"));
        let serve = |byte: &u8| if is_word(*byte) { byte.to_ascii_lowercase() } else { b'-' };
        let bytes: Vec<u8> = stem.as_bytes().iter().map(serve).collect();
        let last = bytes.len().saturating_sub(Self::MAX_BYTES);
        Self(bytes.iter().skip(last).copied().map(char::from).collect())
    }

    /// The serial itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A drive's name in QEMU: a letter, then letters, digits, `.`, `_` and `-`, at
/// most 31 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveId(String);

impl DriveId {
    /// Longest id in bytes: a `-blockdev` node name has 31, and ids serve as such.
    pub const MAX_BYTES: usize = 31;

    /// Checks an id that was asked for.
    pub fn new(text: &str) -> Result<Self, Failure> {
        Self::of(text, "the drive's id is not usable")
    }

    /// Checks the id of something else than a drive; errors begin with `fault`.
    pub fn of(text: &str, fault: &str) -> Result<Self, Failure> {
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphabetic());
        let start =
            if begins_well { Ok(()) } else { Err("it must begin with a letter".to_owned()) };
        let checked = start.and_then(|()| check_word(text, Self::MAX_BYTES));
        checked.map_err(|reason| Failure::new(Exit::Usage, format!("{fault}: {reason}")))?;
        Ok(Self(text.to_owned()))
    }

    /// The id of a drive that has this serial: `credimg-SERIAL`.
    pub fn from_serial(serial: &Serial) -> Self {
        Self(format!("credimg-{}", serial.as_str()))
    }

    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_word(text: &str, max_bytes: usize) -> Result<(), String> {
    if text.len() > max_bytes {
        return Err(format!("it is {} bytes long, at most {max_bytes} are possible", text.len()));
    }
    if text.bytes().all(is_word) {
        return Ok(());
    }
    Err("only letters, digits, `.`, `_` and `-` are possible".to_owned())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn serials_are_what_every_bus_carries() {
        for good in ["a", "-", "0123456789abcdefg-._"] {
            assert_eq!(Serial::new(good).unwrap().as_str(), good);
        }
        for (bad, expected) in [
            ("", "it is empty"),
            ("012345678901234567890", "it is 21 bytes long, at most 20 are possible"),
            ("a b", "only letters, digits, `.`, `_` and `-` are possible"),
            ("a,b", "only letters, digits, `.`, `_` and `-` are possible"),
            ("é", "only letters, digits, `.`, `_` and `-` are possible"),
        ] {
            let failure = Serial::new(bad).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert_eq!(failure.message, format!("the drive's serial is not usable: {expected}"));
        }
    }

    #[test]
    fn labels_make_serials_and_serials_make_ids() {
        let serial = Serial::from_label("CHIMERA-1").unwrap();
        assert_eq!(serial.as_str(), "chimera-1");
        assert_eq!(DriveId::from_serial(&serial).as_str(), "credimg-chimera-1");
        assert!(Serial::from_label("A+B").unwrap_err().hint.unwrap().contains("--serial"));
    }

    #[test]
    fn file_names_make_serials() {
        for (path, expected) in [
            ("out/Chimera-2.erofs", "chimera-2"),
            ("a.b.iso", "a.b"),
            ("grüße, 1.squashfs", "gr----e--1"),
            ("image", "image"),
            (".erofs", ".erofs"),
            ("virtual-machine-images-01.erofs", "al-machine-images-01"),
            ("-", "credimg"),
            ("/proc/self/fd/7", "credimg"),
        ] {
            let serial = Serial::from_path(Path::new(path));
            assert_eq!(serial.as_str(), expected);
            assert_eq!(Serial::new(expected).unwrap(), serial);
        }
    }

    #[test]
    fn the_longest_serial_makes_a_valid_id() {
        let serial = Serial::new(&"x".repeat(Serial::MAX_BYTES)).unwrap();
        let id = DriveId::from_serial(&serial);
        assert_eq!(DriveId::new(id.as_str()).unwrap(), id);
    }

    #[test]
    fn ids_follow_qemu() {
        assert_eq!(DriveId::new("a1.b_c-D").unwrap().as_str(), "a1.b_c-D");
        assert_eq!(DriveId::new(&"x".repeat(31)).unwrap().as_str().len(), 31);
        for bad in ["", "1a", "-a", "a,b", "a b", "a:b", "é", "aé", &"x".repeat(32)] {
            assert_eq!(DriveId::new(bad).unwrap_err().exit, Exit::Usage);
        }
    }
}
