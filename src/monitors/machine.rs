//! What a machine is given: the disk, what its firmware carries, and its initrd.

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use base64::Engine;
use clap::ValueEnum;

use super::{Block, Bus, DriveId, MachineType, Place, Serial};
use crate::keys::wrap::Wrapped;
use crate::report::{self, Exit, Failure, shown};

/// What OEM strings of credentials begin with; the name follows, an equals sign and the value
/// in base64 (systemd.system-credentials(7)), which carries every byte.
pub const OEM_PREFIX: &str = "io.systemd.credential.binary:";
/// What the names of fw_cfg items begin with that systemd imports as credentials.
pub const ITEM_PREFIX: &str = "opt/io.systemd.credentials/";

/// Everything that a machine is given.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The disk of secrets; none of a machine that is given none.
    pub drive: Option<Drive>,
    /// What the firmware carries.
    pub firmware: Firmware,
    /// The private file of the initrd, which holds the guest's own and the credentials behind it.
    /// None where the machine keeps the guest's own.
    pub initrd: Option<PathBuf>,
    /// Words for the command line of the guest's kernel, none of them secret.
    pub kernel_line: Vec<String>,
}

impl Machine {
    /// An error if the drive's machine type cannot carry what is beside the image.
    pub(super) fn require_carried(&self) -> Result<(), Failure> {
        let machine_type = self.drive.as_ref().and_then(|drive| drive.machine_type);
        machine_type.map_or(Ok(()), |machine_type| machine_type.require_carried(&self.firmware))
    }

    /// Whether the machine is given a disk and nothing else.
    pub(crate) fn is_disk_alone(&self) -> bool {
        let Self { drive, firmware, initrd, kernel_line } = self;
        let Firmware { smbios, fw_cfg, platform, credentials, public } = firmware;
        drive.is_some()
            && platform.is_none()
            && smbios.is_empty()
            && fw_cfg.is_empty()
            && credentials.is_empty()
            && public.is_empty()
            && initrd.is_none()
            && kernel_line.is_empty()
    }

    /// The machine with absolute paths, in which links stay as they are; an error of
    /// [`Exit::Usage`] where one has none.
    pub(crate) fn absolute(&self) -> Result<Self, Failure> {
        let mut machine = self.clone();
        let Firmware { smbios, fw_cfg, platform, credentials, public: _ } = &mut machine.firmware;
        let strings = smbios.iter_mut().map(|file| match file {
            SmbiosFile::Structure(path) | SmbiosFile::String(path) => path,
        });
        let drive = machine.drive.iter_mut().flat_map(|Drive { path, key, .. }| {
            let key = key.as_mut().map(|key| match key {
                DriveKey::File(path) | DriveKey::Wrapped { master: path, key: _ } => path,
            });
            [Some(path), key].into_iter().flatten()
        });
        let paths = drive.chain(strings);
        let paths = paths.chain(machine.initrd.as_mut());
        let paths = paths.chain(platform);
        let paths = paths.chain(fw_cfg.iter_mut().map(|item| &mut item.file));
        for path in paths.chain(credentials.iter_mut().map(|file| &mut file.file)) {
            *path = absolute_path(path)?;
        }
        Ok(machine)
    }
}

impl From<Drive> for Machine {
    /// A machine that is given a disk alone.
    fn from(drive: Drive) -> Self {
        Self { drive: Some(drive), ..Self::default() }
    }
}

/// What reaches the guest by its firmware. Secret values are in private files,
/// of which only the paths are here: absolute, or relative to the directory
/// that the monitor starts in. The planner fills only what the [`Monitor`](super::Monitor) carries.
#[derive(Clone, Debug, Default)]
pub struct Firmware {
    /// OEM strings (SMBIOS type 11). Either one `Structure` or any number of
    /// `String`s, never both: QEMU takes a type from files or from fields.
    pub smbios: Vec<SmbiosFile>,
    /// Items of QEMU's firmware configuration device.
    pub fw_cfg: Vec<FwCfgItem>,
    /// The private file of JSON that holds OEM strings as Cloud Hypervisor's API takes them.
    pub platform: Option<PathBuf>,
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
        format!("{OEM_PREFIX}{}={value}", self.name)
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

/// What the private files of credentials hold that go by SMBIOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringFiles {
    /// One file with a raw structure of all strings.
    Structure,
    /// One file a string.
    Strings,
    /// One file a bare value.
    Values,
    /// One file with all strings in the JSON of Cloud Hypervisor's API.
    Json,
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
    /// The descriptor, above 2, by which the monitor inherits the image; none where it opens
    /// `path` itself. In the monitor's own process `path` leads to this file, too.
    pub descriptor: Option<RawFd>,
    /// The device that the guest sees.
    pub bus: Bus,
    /// Where it stands among the disks of the machine.
    pub place: Place,
    /// What the guest reads at once, where the bus leaves the choice.
    pub block: Block,
    /// The machine that it is for, where that is known.
    pub machine_type: Option<MachineType>,
    /// The key by which the monitor opens a LUKS1 image, so that the guest sees the plain disk.
    pub key: Option<DriveKey>,
}

/// Where QEMU gets the key of an encrypted image.
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

/// The path for whoever starts elsewhere than the caller; an error of [`Exit::Usage`] where
/// there is none.
pub(crate) fn absolute_path(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        let reason = report::reason(&error);
        let message = format!("cannot make {} an absolute path: {reason}", shown(path));
        Failure::new(Exit::Usage, message)
    })
}
