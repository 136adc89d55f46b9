//! What the command line wishes, in plain values and as it was typed. What it says nothing of
//! is none, and left to the manifest, the environment or a default: [`super::Job`] decides.

use std::path::PathBuf;
use std::str::FromStr;

use credimg_formats::luks::Version;

use crate::manifest::{Format, is_machine_name};
use crate::monitors::{Bus, MachineType, Monitor, Place, SmbiosForm, Style};
use crate::report::{Exit, Failure};
use crate::sources::assemble::MAX_SIZE_BYTES;
use crate::sources::command::Limits;
use crate::sources::pseudo::Policy;

/// The wishes for an image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) format: Option<Format>,
    /// The compression: a name, perhaps with a level.
    pub(crate) compression: Option<String>,
    pub(crate) joliet: bool,
    /// Whether to leave out what the format cannot hold.
    pub(crate) lossy: bool,
    pub(crate) label: Option<String>,
    pub(crate) uuid: Option<String>,
    pub(crate) encryption: EncryptionWishes,
    /// Whether the image gets a hash tree, whatever the manifest says.
    pub(crate) verity: bool,
    pub(crate) sources: SourceWishes,
    pub(crate) attach: AttachWishes,
    pub(crate) smbios: SmbiosForm,
    /// The guest's own initrd.
    pub(crate) initrd: Option<PathBuf>,
    /// Facts of the guest, as in `systemd=252,kernel=5.14`.
    pub(crate) guest: Option<String>,
}

/// The wishes for an image's encryption.
#[derive(Clone, Debug, Default)]
pub(crate) struct EncryptionWishes {
    pub(crate) luks: Option<Version>,
    pub(crate) key_file: Option<PathBuf>,
    /// The file of a key, which is made if there is none yet.
    pub(crate) key_out: Option<PathBuf>,
    pub(crate) master_key: Option<PathBuf>,
    /// What signs the root hash of the hash tree.
    pub(crate) signing: Option<SigningWishes>,
}

/// The files that sign the root hash, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct SigningWishes {
    pub(crate) key: PathBuf,
    pub(crate) certificate: PathBuf,
}

/// The wishes for the sources, and for what is made of them.
#[derive(Clone, Debug)]
pub(crate) struct SourceWishes {
    /// Whether to take sources that another user of the host can change.
    pub(crate) trust: bool,
    /// Whether to refuse sources that another user of the host can exchange.
    pub(crate) strict: bool,
    /// What sources may do at all.
    pub(crate) policy: Policy,
    pub(crate) command_timeout_seconds: u32,
    /// Whether to show what commands print on standard error; then they run one at a time.
    pub(crate) command_stderr: bool,
    /// How many commands may run at a time.
    pub(crate) jobs: u8,
    /// The time for whatever has none of its own, in seconds since 1970.
    pub(crate) mtime: Option<i64>,
    pub(crate) max_size_bytes: u64,
}

impl Default for SourceWishes {
    fn default() -> Self {
        Self {
            trust: false,
            strict: false,
            policy: Policy { allow_commands: true, allow_devices: false },
            command_timeout_seconds: Limits::TIMEOUT_SECONDS,
            command_stderr: false,
            jobs: Limits::JOBS,
            mtime: None,
            max_size_bytes: MAX_SIZE_BYTES,
        }
    }
}

/// How the image is to be attached.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttachWishes {
    pub(crate) target: Option<Monitor>,
    pub(crate) style: Style,
    pub(crate) bus: Bus,
    pub(crate) place: Option<Place>,
    pub(crate) machine: MachineWishes,
    pub(crate) serial: Option<String>,
    pub(crate) id: Option<String>,
}

/// The wishes for the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct MachineWishes {
    pub(crate) named: Option<NamedMachine>,
    pub(crate) machine_type: Option<MachineType>,
}

impl MachineWishes {
    /// The machine type of QEMU, if one is given. A name is a machine type, too, unless it is that
    /// of a fleet's machine.
    pub(crate) fn machine_type(&self, is_fleet: bool) -> Result<Option<MachineType>, Failure> {
        let named = self.named.as_ref().filter(|_| !is_fleet);
        let Some(NamedMachine { machine_type, .. }) = named else { return Ok(self.machine_type) };
        let usage = |message| Err(Failure::new(Exit::Usage, message));
        match (machine_type, self.machine_type) {
            (Ok(named), Some(other)) if *named != other => {
                usage("--machine and --machine-type name two machine types".to_owned())
            }
            (Ok(named), _) => Ok(Some(*named)),
            (Err(expected), _) => usage(format!("--machine: {expected}"))
                .map_err(|failure| failure.hint("the name of a machine needs a fleet's manifest")),
        }
    }
}

/// What `--machine` names: a machine of a fleet, or a machine type of QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedMachine {
    name: String,
    /// The machine type with this name, or the message of what was expected.
    machine_type: Result<MachineType, String>,
}

impl NamedMachine {
    /// The word as it was given.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for NamedMachine {
    type Err = String;

    /// Reads an option's value, which may be either.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let machine_type = text.parse();
        match machine_type {
            Err(expected) if !is_machine_name(text) => {
                Err(format!("{expected}, or in a fleet the name of one machine"))
            }
            machine_type => Ok(Self { name: text.to_owned(), machine_type }),
        }
    }
}
