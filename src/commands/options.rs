//! The options that several commands have in common.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use credimg_formats::luks::Version;

use super::suggested::{compressions, machine_types, machines};
use crate::job::wishes::{
    AttachWishes, EncryptionWishes, MachineWishes, NamedMachine, SigningWishes, SourceWishes,
    Wishes,
};
use crate::look::contents::Contents;
use crate::manifest::Format;
use crate::monitors::{Bus, MachineType, Monitor, Place, SmbiosForm, Style};
use crate::report::Failure;
use crate::sources::command::Limits;
use crate::sources::pseudo::Policy;

// What is made of a manifest, and how, wherever it goes.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Recipe {
    /// The image's format.
    #[command(flatten)]
    pub format: FormatChoice,
    /// Volume label, whatever the manifest says: at most 15 bytes for EROFS, 32 for ISO 9660,
    /// 16 with Joliet
    #[arg(long, value_name = "LABEL")]
    pub label: Option<String>,
    /// Volume UUID of an EROFS image [default: a random one]
    #[arg(long, value_name = "UUID")]
    pub uuid: Option<String>,
    /// Time of the image and of every entry without one, in seconds since 1970
    /// [default: `SOURCE_DATE_EPOCH`, else now]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub mtime: Option<i64>,
    /// Most bytes of the image, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Refuse sources that another user of the host can exchange, where the caller is root
    #[arg(long)]
    pub strict: bool,
    /// How credentials that go by SMBIOS are given to QEMU
    #[arg(long, value_name = "FORM", value_enum, default_value_t = SmbiosForm::File)]
    pub smbios: SmbiosForm,
    /// The guest's own initrd, which the machine gets with credentials behind it, as
    /// IMAGE.initrd: made by dracut, say, with systemd 254 or later in it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub initrd: Option<PathBuf>,
    /// Warn of what this guest drops, as in systemd=252,kernel=5.14,cvm=no,os=rhel-9,machine=q35
    #[arg(long, value_name = "FACTS")]
    pub guest: Option<String>,
    /// Read the image back before it takes its name, or goes anywhere: every record is checked, and
    /// every path compared with its source
    #[arg(long)]
    pub verify: bool,
    /// Add a hash tree (dm-verity), by which the guest checks the disk; it takes its root hash from
    /// a credential
    #[arg(long)]
    pub verity: bool,
    /// Seconds that a command of the manifest may take
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::TIMEOUT_SECONDS, value_parser = clap::value_parser!(u32).range(1..))]
    pub command_timeout: u32,
    /// Show what the manifest's commands print on standard error, and run them one at a time
    #[arg(long)]
    pub command_stderr: bool,
    /// How many commands of the manifest run at a time; with 1 each is run at its turn
    #[arg(long, value_name = "N", default_value_t = Limits::JOBS, value_parser = jobs())]
    pub jobs: u8,
    /// How the image is encrypted.
    #[command(flatten)]
    pub encryption: EncryptionChoice,
    /// What the image is made of.
    #[command(flatten)]
    pub sources: Sources,
}

impl Recipe {
    /// What a build is to wish that attaches its image so.
    pub(super) fn wishes(&self, attach: &Attach) -> Wishes {
        let Self { format, encryption, sources, .. } = self;
        Wishes {
            format: format.name,
            compression: format.compression.clone(),
            joliet: format.joliet,
            lossy: format.lossy,
            label: self.label.clone(),
            uuid: self.uuid.clone(),
            encryption: encryption.wishes(),
            verity: self.verity,
            sources: SourceWishes {
                strict: self.strict,
                command_timeout_seconds: self.command_timeout,
                command_stderr: self.command_stderr,
                jobs: self.jobs,
                mtime: self.mtime,
                max_size_bytes: self.max_size,
                ..sources.wishes()
            },
            attach: attach.wishes(),
            smbios: self.smbios,
            initrd: self.initrd.clone(),
            guest: self.guest.clone(),
        }
    }
}

// An image format and what is particular to it.
#[derive(Args, Debug)]
pub struct FormatChoice {
    /// Image format, whatever the manifest or the output's extension says
    #[arg(id = "format", long, value_name = "FORMAT", value_parser = formats())]
    pub name: Option<Format>,
    /// Compression of a SquashFS image, whatever the manifest says: none, gzip, lz4, xz or zstd,
    /// with a level as in zstd:3 [default: none]
    #[arg(long, value_name = "NAME[:LEVEL]", value_parser = compressions(), hide_possible_values = true)]
    pub compression: Option<String>,
    /// Add a Joliet tree to an ISO 9660 image, for guests that do not know Rock Ridge; it has no
    /// owners, modes and links
    #[arg(long)]
    pub joliet: bool,
    /// Give up, with warnings, what would be refused: extended attributes that the format cannot
    /// hold; of ISO 9660 also what Linux does not read from it (the end of a name over 253 bytes,
    /// times after January 2038) and names that Joliet does not hold
    #[arg(long)]
    pub lossy: bool,
}

// How an image is encrypted, and with which key. Groups with a heading of their own stand last in
// every command, as a heading in help is that of all options that follow.
#[derive(Args, Debug)]
#[command(next_help_heading = "Encryption")]
pub struct EncryptionChoice {
    /// Encrypt the image, whatever the manifest says; a key is needed
    #[arg(long, value_name = "VERSION", value_parser = versions())]
    pub encrypt: Option<Version>,
    /// File with the key of the encrypted image: 1 to 512 bytes of UTF-8 with no newline at the end
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "key_out")]
    pub key_file: Option<PathBuf>,
    /// Take the key from FILE, or make a random one there where there is none yet
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_out: Option<PathBuf>,
    /// Wrap the key of a LUKS1 image with the master key in FILE, so that the wrapped key
    /// can stand in QEMU's arguments
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub master_key: Option<PathBuf>,
    /// Give the image a hash tree and sign its root hash with the private key in KEY (RSA, PEM), for
    /// guests whose kernel takes no other disk
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath, requires = "verity_cert")]
    pub verity_sign: Option<PathBuf>,
    /// The certificate of the key that signs (PEM)
    #[arg(long, value_name = "CERT", value_hint = ValueHint::FilePath, requires = "verity_sign")]
    pub verity_cert: Option<PathBuf>,
}

impl EncryptionChoice {
    fn wishes(&self) -> EncryptionWishes {
        let signing = self.verity_sign.clone().zip(self.verity_cert.clone());
        EncryptionWishes {
            signing: signing.map(|(key, certificate)| SigningWishes { key, certificate }),
            luks: self.encrypt,
            key_file: self.key_file.clone(),
            key_out: self.key_out.clone(),
            master_key: self.master_key.clone(),
        }
    }
}

// What an image is made of besides the manifest, and what it must not be made of.
#[derive(Args, Debug)]
#[command(next_help_heading = "Sources")]
pub struct Sources {
    /// Add the pseudo definitions of FILE, in mksquashfs's language (repeatable)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub pseudo_file: Vec<PathBuf>,
    /// Allow pseudo definitions of device nodes
    #[arg(long)]
    pub allow_devices: bool,
    /// Refuse manifests and pseudo definitions that run a command
    #[arg(long)]
    pub no_commands: bool,
    /// Whom it is taken from.
    #[command(flatten)]
    pub trust: Trust,
}

impl Sources {
    pub(super) fn wishes(&self) -> SourceWishes {
        SourceWishes {
            trust: self.trust.trust,
            policy: Policy { allow_commands: !self.no_commands, allow_devices: self.allow_devices },
            ..SourceWishes::default()
        }
    }
}

// Whom a manifest is taken from.
#[derive(Args, Clone, Copy, Debug)]
pub struct Trust {
    /// Take a manifest, pseudo files and sources that another user of the host can change, where
    /// the caller is root
    #[arg(long)]
    pub trust: bool,
}

// How the image is attached to the machine.
#[derive(Args, Debug)]
#[command(next_help_heading = "Attachment")]
pub struct Attach {
    /// Virtual machine monitor that the arguments are for; all but qemu have one style [default:
    /// that of the fleet's machine, else and for `exec` qemu]
    #[arg(long, value_enum)]
    pub target: Option<Monitor>,
    /// Style of the printed arguments
    #[arg(long = "args", value_name = "STYLE", value_enum, default_value_t = Style::Shell)]
    pub style: Style,
    /// Bus that the drive is attached to
    #[arg(long, value_enum, default_value_t = Bus::Virtio)]
    pub bus: Bus,
    /// Place behind the machine's own disks: 1 for its only or first image, 2 for its second and
    /// so on up to 16, or auto for wherever the monitor puts it [default: 1; `exec` takes the
    /// first one that is free]
    #[arg(long, value_name = "N")]
    pub place: Option<Place>,
    /// Which machine.
    #[command(flatten)]
    pub machine: WhichMachine,
    /// Drive serial, at most 20 bytes [default: the label in lower case, else the image's file
    /// name up to its extension, with -2 behind it at place 2 and so on]
    #[arg(long)]
    pub serial: Option<String>,
    /// QEMU id of the drive [default: credimg- and the serial]
    #[arg(long)]
    pub id: Option<String>,
}

// A machine by its name or its type.
#[derive(Args, Debug)]
pub struct WhichMachine {
    /// The machine whose image it is, where the manifest is of many; else the machine type of QEMU,
    /// as for --machine-type
    #[arg(long, value_name = "NAME", value_parser = machines(), hide_possible_values = true)]
    pub machine: Option<NamedMachine>,
    /// Machine type of QEMU that the arguments are for: pc, q35, microvm, virt (without UEFI),
    /// virt-uefi, s390-ccw-virtio or pseries, with version and properties as in microvm,pcie=on
    /// [default: that of the program of `exec`, else one that has PCI and SMBIOS tables]
    #[arg(long, value_name = "TYPE", value_parser = machine_types(), hide_possible_values = true)]
    pub machine_type: Option<MachineType>,
}

impl WhichMachine {
    pub(super) fn wishes(&self) -> MachineWishes {
        MachineWishes { named: self.machine.clone(), machine_type: self.machine_type }
    }

    /// The name, if one is given.
    pub(super) fn name(&self) -> Option<&str> {
        self.machine.as_ref().map(NamedMachine::name)
    }
}

impl Attach {
    pub(super) fn wishes(&self) -> AttachWishes {
        AttachWishes {
            target: self.target,
            style: self.style,
            bus: self.bus,
            place: self.place,
            machine: self.machine.wishes(),
            serial: self.serial.clone(),
            id: self.id.clone(),
        }
    }
}

// What a build takes from its options or the manifest, for commands that build nothing.
#[derive(Args, Debug)]
pub struct Volume {
    /// Version of LUKS around the image, whatever the manifest says
    #[arg(long, value_name = "VERSION", value_parser = versions())]
    pub encrypt: Option<Version>,
    /// Image format, whatever the manifest says [default: erofs]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub format: Option<Format>,
    /// Volume label, whatever the manifest says
    #[arg(long, value_name = "LABEL")]
    pub label: Option<String>,
    /// Whether the image has a hash tree, whatever the manifest says
    #[arg(long)]
    pub verity: bool,
    /// Drive serial, by which a SquashFS image is found [default: the label in lower case; without
    /// one the build takes it from the image's file name]
    #[arg(long)]
    pub serial: Option<String>,
}

impl Volume {
    pub(super) fn wishes(&self) -> Wishes {
        Wishes {
            format: self.format,
            label: self.label.clone(),
            encryption: EncryptionWishes { luks: self.encrypt, ..EncryptionWishes::default() },
            verity: self.verity,
            attach: AttachWishes { serial: self.serial.clone(), ..AttachWishes::default() },
            ..Wishes::default()
        }
    }
}

// An image, and what opens it.
#[derive(Args, Debug)]
pub struct Look {
    /// The image, a file
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub image: PathBuf,
    /// Look into an encrypted image with the key in FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Derive keys whatever the image's header asks for: more than 32 million hashes of PBKDF2,
    /// 1 GiB of memory or 16 GiB that Argon2 fills are refused without it
    #[arg(long, requires = "key_file")]
    pub allow_cost: bool,
}

impl Look {
    /// Opens the image for what it holds.
    pub(super) fn open(&self) -> Result<Contents, Failure> {
        Contents::at(&self.image, self.key_file.as_deref(), self.allow_cost)
    }
}

/// An image format, by its name.
pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    let value = |format: Format| {
        PossibleValue::new(format.name()).help(match format {
            Format::Erofs => "EROFS with a volume label",
            Format::Squashfs => "SquashFS, found by the drive's serial",
            Format::Iso9660 => "ISO 9660 with Rock Ridge and a volume label",
        })
    };
    PossibleValuesParser::new(Format::ALL.map(value)).try_map(|name| name.parse::<Format>())
}

/// Takes the name of a version of LUKS.
pub(super) fn versions() -> impl TypedValueParser<Value = Version> {
    let value = |version: Version| {
        PossibleValue::new(version.name()).help(match version {
            Version::Luks1 => "LUKS1, which QEMU opens: the guest sees the plain disk",
            Version::Luks2 => "LUKS2, which the guest opens",
        })
    };
    PossibleValuesParser::new(Version::ALL.map(value)).try_map(|name| name.parse::<Version>())
}

/// A number of commands that run at a time.
pub(super) fn jobs() -> impl TypedValueParser<Value = u8> {
    clap::value_parser!(u8).range(1..=i64::from(Limits::JOBS_MAX))
}

/// A number of bytes, perhaps with the first letter of a binary unit behind.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let shift = match text.bytes().last() {
        Some(b'K' | b'k') => 10,
        Some(b'M' | b'm') => 20,
        Some(b'G' | b'g') => 30,
        Some(b'T' | b't') => 40,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { text.get(..text.len() - 1).unwrap_or_default() };
    let number = digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+'));
    number.and_then(|number| number.checked_mul(1 << shift)).ok_or_else(|| {
        "expected a whole number of bytes, or one with K, M, G or T behind it".to_owned()
    })
}
