//! What the command line wishes, in plain values and as it was typed. What it says nothing of
//! is none, and left to the manifest, the environment or a default: [`super::Job`] decides.

use std::path::PathBuf;

use credimg_formats::luks::Version;

use crate::manifest::Format;
use crate::monitors::{Bus, MachineType, Monitor, Place, SmbiosForm, Style};
use crate::sources::assemble::MAX_SIZE_BYTES;
use crate::sources::command::Limits;
use crate::sources::pseudo::Policy;

/// What is wished of an image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) format: Option<Format>,
    /// A name, perhaps with a level.
    pub(crate) compression: Option<String>,
    pub(crate) joliet: bool,
    /// Gives up what the format cannot hold.
    pub(crate) lossy: bool,
    pub(crate) label: Option<String>,
    pub(crate) uuid: Option<String>,
    pub(crate) encryption: EncryptionWishes,
    pub(crate) sources: SourceWishes,
    pub(crate) attach: AttachWishes,
    pub(crate) smbios: SmbiosForm,
    /// Facts of the guest, as in `systemd=252,kernel=5.14`.
    pub(crate) guest: Option<String>,
}

/// What is wished of an image's encryption.
#[derive(Clone, Debug, Default)]
pub(crate) struct EncryptionWishes {
    pub(crate) luks: Option<Version>,
    pub(crate) key_file: Option<PathBuf>,
    /// Where a key is made that is not there yet.
    pub(crate) key_out: Option<PathBuf>,
    pub(crate) master_key: Option<PathBuf>,
}

/// What is wished of the sources, and of what is made of them.
#[derive(Clone, Debug)]
pub(crate) struct SourceWishes {
    /// Takes what another user of the host can change.
    pub(crate) trust: bool,
    /// Refuses what another user of the host can exchange.
    pub(crate) strict: bool,
    /// What they may do at all.
    pub(crate) policy: Policy,
    pub(crate) command_timeout_seconds: u32,
    /// Shows what commands print on standard error; then they run one at a time.
    pub(crate) command_stderr: bool,
    /// How many commands may run at a time.
    pub(crate) jobs: u8,
    /// The time of what has none of its own, in seconds since 1970.
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
    pub(crate) target: Monitor,
    pub(crate) style: Style,
    pub(crate) bus: Bus,
    pub(crate) place: Option<Place>,
    pub(crate) machine: Option<MachineType>,
    pub(crate) serial: Option<String>,
    pub(crate) id: Option<String>,
}
