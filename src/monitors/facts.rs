//! What is known of a monitor: each has its facts in the file of its renderer.

use super::{Arguments, Board, Bus, Drive, Machine, MachineType, Style};
use crate::manifest::Channel;
use crate::report::Failure;

/// What is known of one monitor.
pub(super) struct Facts {
    /// The name in options and messages.
    pub(super) name: &'static str,
    /// How it is told of a machine in text that is printed.
    pub(super) printed: Printed,
    /// The styles of `--args` in which that is written.
    pub(super) styles: &'static [Style],
    /// How it is told of a machine when it is started with an image in memory.
    pub(super) started: Started,
    /// How it takes paths.
    pub(super) paths: Paths,
    /// The buses by which it attaches a disk that the guest cannot write.
    pub(super) buses: &'static [Bus],
    /// Whether the disk has the serial that was asked for; else the monitor makes one up.
    pub(super) sets_serial: bool,
    /// Whether it opens a LUKS1 image itself.
    pub(super) opens_luks1: Opener,
    /// The machine types of QEMU that its machines can be, or be like.
    pub(super) machines: Machines,
    /// Whether one of its own arguments names such a machine type.
    pub(super) is_told_machine: bool,
    /// How it is given secrets as OEM strings of SMBIOS.
    pub(super) smbios: Smbios,
    /// Whether it is given secrets as items of fw_cfg.
    pub(super) fw_cfg: FwCfg,
    /// Why no other item of fw_cfg goes, where the reason is not that of credentials.
    pub(super) no_items: Option<&'static str>,
    /// How it is given credentials that are no secret.
    pub(super) public: Public,
    /// How words get onto the command line of the guest's kernel.
    pub(super) kernel_line: KernelLine,
}

/// The text that tells a monitor of a machine.
pub(super) enum Printed {
    /// It depends on the style of `--args`.
    Styled(fn(&Machine, Style) -> Result<Arguments, Failure>),
    /// It is words of a command line, which are written for a shell.
    Words(fn(&Machine) -> Result<Words, Failure>),
}

/// Arguments, one a word.
pub(super) type Words = Vec<Vec<u8>>;

/// How a monitor is told of a machine when it is started.
pub(super) enum Started {
    /// It takes them in these styles.
    Words { styles: &'static [Style], words: fn(&Machine, Style) -> Result<Words, Failure> },
    /// It inherits no image, for this reason.
    Never(&'static str),
}

/// How a monitor takes paths.
#[derive(Clone, Copy)]
pub(super) enum Paths {
    /// They are as they were given: it starts where the caller is.
    AsGiven,
    /// It starts elsewhere than the caller, or keeps them.
    Absolute,
}

/// How a monitor opens a LUKS1 image itself.
#[derive(Clone, Copy)]
pub(super) enum Opener {
    /// It is given the file of the key, or the wrapped key.
    Key,
    /// It has the key from a secret, which people give it before the machine starts, as this tells
    /// of a drive that has one.
    Secret(fn(&Drive) -> Option<String>),
    /// It does not.
    None,
}

/// The machine types of QEMU that a monitor has.
#[derive(Clone, Copy)]
pub(super) enum Machines {
    /// It has every one.
    All,
    /// It has these boards.
    Boards(&'static [Board]),
    /// Its machines are like none of QEMU's.
    None,
}

/// How a monitor is given secrets as OEM strings.
#[derive(Clone, Copy)]
pub(super) enum Smbios {
    /// It reads the strings from private files.
    Strings,
    /// It reads each credential from a private file, and makes an OEM string of it, or an
    /// item of fw_cfg where it chooses so.
    Credentials,
    /// It is given them by its API, in the style of [`Style::Api`] alone, by a private file of JSON,
    /// on x86; with arguments none, for this reason.
    Platform(&'static str),
    /// It is given none, for this reason.
    Refused(&'static str),
}

/// Whether a monitor is given secrets as items of fw_cfg, which it reads from private files.
#[derive(Clone, Copy)]
pub(super) enum FwCfg {
    /// It is.
    Files,
    /// It is, but what goes so is lost without what this says, so that it goes where the manifest
    /// asks for it alone.
    OnRequest(&'static str),
    /// It is not, for this reason.
    Refused(&'static str),
}

/// How words get onto the command line of the guest's kernel.
#[derive(Clone, Copy)]
pub(super) struct KernelLine {
    /// The styles of `--args` that hold them; with any other whoever starts the machine writes
    /// them.
    pub(super) styles: &'static [Style],
    /// Where they are written then.
    pub(super) place: &'static str,
}

impl KernelLine {
    /// Whoever starts the machine writes all of it.
    pub(super) const WRITTEN: Self = Self { styles: &[], place: "the guest's kernel command line" };
}

/// How a monitor is given credentials that are no secret and may be arguments.
#[derive(Clone, Copy)]
pub(super) enum Public {
    /// They reach the guest of every machine.
    Always,
    /// They reach the guest of a machine that has SMBIOS tables.
    Smbios,
    /// They reach the guest of a machine of x86 that has SMBIOS tables: others have none here.
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
    /// Whether they reach the guest of such a machine.
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
