//! The facts about monitors. Each monitor has its own in the file of its renderer.

use super::{Arguments, Board, Bus, Drive, Machine, MachineType, Style};
use crate::manifest::Channel;
use crate::report::Failure;

/// What is known of one monitor.
pub(super) struct Facts {
    /// The monitor's name in options and messages.
    pub(super) name: &'static str,
    /// How the printed arguments are made.
    pub(super) printed: Printed,
    /// The styles of `--args` that the printed arguments may have.
    pub(super) styles: &'static [Style],
    /// How the arguments are made when the monitor is started with an image in memory.
    pub(super) started: Started,
    /// What kind of paths it takes.
    pub(super) paths: Paths,
    /// The buses by which it attaches a disk that the guest cannot write.
    pub(super) buses: &'static [Bus],
    /// Whether the disk gets the serial that was asked for; if not, the monitor makes one up.
    pub(super) sets_serial: bool,
    /// Whether it opens a LUKS1 image itself.
    pub(super) opens_luks1: Opener,
    /// The machine types of QEMU that its machines can be, or resemble.
    pub(super) machines: Machines,
    /// Whether one of the monitor's own arguments names the machine type.
    pub(super) is_told_machine: bool,
    /// How it is given secrets as OEM strings of SMBIOS.
    pub(super) smbios: Smbios,
    /// Whether it is given secrets as items of fw_cfg.
    pub(super) fw_cfg: FwCfg,
    /// Why items of fw_cfg that are no credentials cannot go, if that has a reason of its own.
    pub(super) no_items: Option<&'static str>,
    /// How it is given credentials that are no secret.
    pub(super) public: Public,
    /// How words get onto the command line of the guest's kernel.
    pub(super) kernel_line: KernelLine,
}

/// How the printed arguments of a monitor are made.
pub(super) enum Printed {
    /// They depend on the style of `--args`.
    Styled(fn(&Machine, Style) -> Result<Arguments, Failure>),
    /// They are words of a command line, quoted for a shell.
    Words(fn(&Machine) -> Result<Words, Failure>),
}

/// Arguments, each a word of a command line.
pub(super) type Words = Vec<Vec<u8>>;

/// How the arguments of a monitor are made when it is started with an image in memory.
pub(super) enum Started {
    /// They are words, in one of these styles.
    Words { styles: &'static [Style], words: fn(&Machine, Style) -> Result<Words, Failure> },
    /// It cannot inherit an image, for this reason.
    Never(&'static str),
}

/// What kind of paths a monitor takes.
#[derive(Clone, Copy)]
pub(super) enum Paths {
    /// Paths as they were given: the monitor starts in the caller's directory.
    AsGiven,
    /// Absolute paths: the monitor starts in another directory, or stores them.
    Absolute,
}

/// How a monitor opens a LUKS1 image itself.
#[derive(Clone, Copy)]
pub(super) enum Opener {
    /// By its arguments, which name the file of the key, or hold the wrapped key.
    Key,
    /// By a secret that people give it before the machine starts. The function makes the
    /// instructions for that; none for a drive without a key.
    Secret(fn(&Drive) -> Option<String>),
    /// It cannot open one.
    None,
}

/// Which machine types of QEMU the machines of a monitor can be, or resemble.
#[derive(Clone, Copy)]
pub(super) enum Machines {
    /// Every type.
    All,
    /// Types of these boards.
    Boards(&'static [Board]),
    /// None: its machines are like none of QEMU's.
    None,
}

/// How a monitor is given secrets as OEM strings.
#[derive(Clone, Copy)]
pub(super) enum Smbios {
    /// It reads the strings from private files.
    Strings,
    /// It reads each credential from a private file, and itself chooses an OEM string or an item of
    /// fw_cfg for it.
    Credentials,
    /// By its API alone, in the style of [`Style::Api`] and on x86: a private file of JSON holds
    /// them. The text says why its arguments hold none.
    Platform(&'static str),
    /// It is given none, for this reason.
    Refused(&'static str),
}

/// Whether a monitor is given secrets as items of fw_cfg, which it reads from private files.
#[derive(Clone, Copy)]
pub(super) enum FwCfg {
    /// By private files.
    Files,
    /// By private files, but only if the manifest asks for fw_cfg: the guest finds the items only
    /// under the condition that the text names.
    OnRequest(&'static str),
    /// It is given none, for this reason.
    Refused(&'static str),
}

/// How words get onto the command line of the guest's kernel.
#[derive(Clone, Copy)]
pub(super) struct KernelLine {
    /// The styles of `--args` that hold the words. With any other style, whoever starts the machine
    /// adds them.
    pub(super) styles: &'static [Style],
    /// Where the words are added then.
    pub(super) place: &'static str,
}

impl KernelLine {
    /// No style holds the words.
    pub(super) const WRITTEN: Self = Self { styles: &[], place: "the guest's kernel command line" };
}

/// How a monitor is given credentials that are no secret and may be arguments.
#[derive(Clone, Copy)]
pub(super) enum Public {
    /// They reach the guest of every machine.
    Always,
    /// They reach the guest of a machine that has SMBIOS tables.
    Smbios,
    /// They reach the guest of an x86 machine that has SMBIOS tables. The monitor's other machines
    /// have none.
    SmbiosOfX86,
    /// They never do, for this reason.
    Never(&'static str),
}

impl Machines {
    pub(super) fn has(self, machine: MachineType) -> bool {
        match self {
            Self::All => true,
            Self::Boards(boards) => boards.contains(&machine.board),
            Self::None => false,
        }
    }
}

impl Public {
    /// Whether they reach the guest of a machine of this type.
    pub(super) fn reaches(self, machine: Option<MachineType>) -> bool {
        let has_smbios = machine.is_none_or(|machine| machine.carries(Channel::Smbios).is_ok());
        match self {
            Self::Always => true,
            Self::Smbios => has_smbios,
            Self::SmbiosOfX86 => has_smbios && machine.is_none_or(|machine| machine.board.is_x86()),
            Self::Never(_) => false,
        }
    }
}
