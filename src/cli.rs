//! The command line's types; nothing is done here.

mod checks;
mod keys;
mod look;
mod seal;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

use crate::manifest::{Format, Luks};
use crate::monitors::{Bus, MachineType, Monitor, Place, SmbiosForm, Style};
use crate::sources::command::Limits;
pub use checks::{Diff, Dump, Verify, Wishes};
pub use keys::{Genkey, Secret, Unwrap, Wrap};
pub use look::{Cat, Extract, Look, Ls};
pub use seal::Seal;

/// Builds a read-only secrets disk for a virtual machine and prints the arguments that attach it.
#[derive(Debug, Parser)]
#[command(name = "credimg", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Example:
  disk=$(credimg build secrets.yaml -o chimera.erofs) &&
  eval \"qemu-system-x86_64 -m 1G $disk\"

Exit codes: 0 done, 1 images differ, 2 usage, 3 manifest, 4 source, 5 policy or permission,
6 a command failed, 7 output, 8 image invalid.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from a manifest and print the arguments that attach it
    Build(Box<Build>),
    /// Build an image in memory and become the virtual machine monitor, which inherits it: neither
    /// image nor credentials are written to any disk
    Exec(Box<Exec>),
    /// Check a manifest and its pseudo files and show the plan, without running anything or
    /// opening a file of a source
    Check(Check),
    /// Seal a manifest's tree for a share that the guest can write, and print the arguments
    /// that give it the share and the key
    Seal(Seal),
    /// Print the arguments that attach an image that exists
    Args(AttachImage),
    /// Say what an image is, how much it holds and how it is encrypted
    Inspect(Inspect),
    /// List what is in an image
    Ls(Ls),
    /// Print what files of an image hold
    Cat(Cat),
    /// Extract files of an image into a directory
    Extract(Extract),
    /// Check every record of an image, and that it holds what a manifest says
    Verify(Box<Verify>),
    /// Say which files of two images differ, and in what
    Diff(Diff),
    /// List an image byte by byte: records, padding, and the lengths and digests of content
    Dump(Dump),
    /// Make a key, in a private file of its own
    Genkey(Genkey),
    /// Wrap secrets so that they may stand in QEMU's arguments, and unwrap them
    #[command(subcommand)]
    Secret(Secret),
    /// Print what mounts the disk and loads the credentials in guests older than systemd 254, and
    /// opens an encrypted one in those older than 256
    GuestUnit(GuestUnit),
    /// Find secrets that stand inline in scripts, configurations, logs and command lines
    Audit(Audit),
    /// Print a shell's completion script
    Completions(Completions),
    /// Write the manual pages into a directory
    Man(Man),
}

/// `credimg build`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg build secrets.yaml -o chimera.erofs
  credimg build secrets.yaml -o chimera.erofs --encrypt luks1 --key-out /run/credimg/chimera.key
  SOURCE_DATE_EPOCH=0 credimg build --uuid 6f1c… secrets.yaml -o chimera.erofs  # reproducible
  credimg build seed.yaml -o seed.iso  # a cloud-init seed, where the label is cidata
  credimg build secrets.yaml --format erofs -o - | ssh host 'cat > chimera.erofs'")]
pub struct Build {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// The image to write, or - for standard output (then no arguments are printed)
    #[arg(short, long, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// What is made, and of what.
    #[command(flatten)]
    pub recipe: Recipe,
    /// How the image is attached.
    #[command(flatten)]
    pub attach: Attach,
    /// Owner of the image file, by names or numbers of this host; a user alone stands for the
    /// user's primary group as well [default: the caller]
    #[arg(long, value_name = "USER[:GROUP]")]
    pub owner: Option<String>,
    /// Let this user of the host read the image file as well, by an access control list
    #[arg(long, value_name = "USER")]
    pub reader: Option<String>,
    /// Mode of the image file, in octal
    #[arg(long, value_name = "MODE", default_value = "0600")]
    pub mode: String,
    /// Leave an image alone that is there already and would be made again byte for byte but for
    /// a new UUID and time
    #[arg(long)]
    pub if_changed: bool,
    /// Write a dependency file for Make: the image depends on every file and directory read
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub depfile: Option<PathBuf>,
    /// Print no summary and no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Write a JSON report to FILE instead of the summary [default FILE: standard error]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, value_hint = ValueHint::FilePath)]
    pub json: Option<Option<PathBuf>>,
}

/// `credimg exec`
#[derive(Args, Debug)]
#[command(after_help = "\
The arguments that attach the image follow those of PROGRAM, or stand where one of these is {}.
Where one holds {image}, this becomes the image's path, and the drive is attached by it alone.

PROGRAM takes the place of credimg: its process, terminal and exit code are its own. Exit code 6
says that it could not be started.

Examples:
  credimg exec secrets.yaml -- qemu-system-x86_64 -m 1G -drive file=root.img,format=qcow2
  credimg exec secrets.yaml --args blockdev -- setpriv --reuid=vm qemu-system-x86_64 {} -m 1G
  credimg exec secrets.yaml --target cloud-hypervisor -- cloud-hypervisor --kernel vmlinux \\
    --disk path=root.img path={image},readonly=on,image_type=raw")]
pub struct Exec {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// What is made, and of what.
    #[command(flatten)]
    pub recipe: Recipe,
    /// How the image is attached.
    #[command(flatten)]
    pub attach: Attach,
    /// Print no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// The monitor, looked up in PATH, or what starts it in its own place, and its arguments
    #[arg(value_name = "PROGRAM", last = true, required = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// What is made of a manifest, and how, wherever it goes.
#[derive(Args, Debug)]
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
    /// How the image is encrypted.
    #[command(flatten)]
    pub encryption: EncryptionChoice,
    /// What the image is made of.
    #[command(flatten)]
    pub sources: Sources,
    /// Most bytes of the image, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Refuse sources that another user of the host can exchange, where the caller is root
    #[arg(long)]
    pub strict: bool,
    /// How credentials that go by SMBIOS are given to QEMU
    #[arg(long, value_name = "FORM", value_enum, default_value_t = SmbiosForm::File)]
    pub smbios: SmbiosForm,
    /// Warn of what this guest drops, as in systemd=252,kernel=5.14,cvm=no,os=rhel-9,machine=q35
    #[arg(long, value_name = "FACTS")]
    pub guest: Option<String>,
    /// Read the image back before it takes its name, or goes anywhere: every record is checked, and
    /// every path compared with its source
    #[arg(long)]
    pub verify: bool,
    /// Seconds that a command of the manifest may take
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::TIMEOUT_SECONDS, value_parser = clap::value_parser!(u32).range(1..))]
    pub command_timeout: u32,
    /// Show what the manifest's commands print on standard error
    #[arg(long)]
    pub command_stderr: bool,
}

/// How an image is encrypted, and with which key.
#[derive(Args, Debug)]
pub struct EncryptionChoice {
    /// Encrypt the image, whatever the manifest says; a key is needed
    #[arg(long, value_name = "VERSION")]
    pub encrypt: Option<Luks>,
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
}

/// An image format and what is particular to it.
#[derive(Args, Debug)]
pub struct FormatChoice {
    /// Image format, whatever the manifest or the output's extension says
    #[arg(id = "format", long, value_name = "FORMAT")]
    pub name: Option<Format>,
    /// Compression of a SquashFS image, whatever the manifest says: none, gzip, lz4, xz or zstd,
    /// with a level as in zstd:3 [default: none]
    #[arg(long, value_name = "NAME[:LEVEL]")]
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

/// `credimg check`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg check secrets.yaml
  credimg check secrets.yaml --target libvirt --guest systemd=252,kernel=5.14,cvm=no --strict")]
pub struct Check {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// What the build will be told of the volume.
    #[command(flatten)]
    pub volume: Volume,
    /// What the image is made of.
    #[command(flatten)]
    pub sources: Sources,
    /// Virtual machine monitor that credentials go through
    #[arg(long, value_enum, default_value_t = Monitor::Qemu)]
    pub target: Monitor,
    /// Machine type of QEMU: pc, q35, microvm, virt (without UEFI), virt-uefi, s390-ccw-virtio or
    /// pseries, with version and properties as in microvm,pcie=on [default: one that has SMBIOS
    /// tables]
    #[arg(long, value_name = "TYPE")]
    pub machine: Option<MachineType>,
    /// Warn of what this guest drops, as in systemd=252,kernel=5.14,cvm=no,os=rhel-9,machine=q35
    #[arg(long, value_name = "FACTS")]
    pub guest: Option<String>,
    /// Most bytes of the image that will be built, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Exit with 5 where there is a warning
    #[arg(long)]
    pub strict: bool,
}

/// `credimg guest-unit`
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  credimg guest-unit secrets.yaml")]
pub struct GuestUnit {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// What the build is told of the volume.
    #[command(flatten)]
    pub volume: Volume,
    /// Whom the manifest is taken from.
    #[command(flatten)]
    pub trust: Trust,
}

/// What a build takes from its options or the manifest, for commands that build nothing.
#[derive(Args, Debug)]
pub struct Volume {
    /// Version of LUKS around the image, whatever the manifest says
    #[arg(long, value_name = "VERSION")]
    pub encrypt: Option<Luks>,
    /// Image format, whatever the manifest says [default: erofs]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Volume label, whatever the manifest says
    #[arg(long, value_name = "LABEL")]
    pub label: Option<String>,
    /// Drive serial, by which a SquashFS image is found [default: the label in lower case; without
    /// one the build takes it from the image's file name]
    #[arg(long)]
    pub serial: Option<String>,
}

/// What an image is made of besides the manifest, and what it must not be made of.
#[derive(Args, Clone, Debug)]
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

/// Whom a manifest is taken from.
#[derive(Args, Clone, Copy, Debug)]
pub struct Trust {
    /// Take a manifest, pseudo files and sources that another user of the host can change, where
    /// the caller is root
    #[arg(long)]
    pub trust: bool,
}

/// `credimg inspect`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg inspect chimera.erofs
  credimg inspect chimera.erofs --key-file chimera.key --json")]
pub struct Inspect {
    /// The image.
    #[command(flatten)]
    pub look: Look,
    /// Print a JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// `credimg args`
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  credimg args chimera.erofs --bus scsi --args lines")]
pub struct AttachImage {
    /// The image
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub image: PathBuf,
    /// File with the key of an encrypted image; needed for LUKS1
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Derive keys whatever the image's header asks for: more than 32 million hashes of PBKDF2,
    /// 1 GiB of memory or 16 GiB that Argon2 fills are refused without it
    #[arg(long, requires = "key_file")]
    pub allow_cost: bool,
    /// Wrap that key with the master key in FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "key_file")]
    pub master_key: Option<PathBuf>,
    /// How the image is attached.
    #[command(flatten)]
    pub attach: Attach,
}

/// How the image is attached to the machine.
#[derive(Args, Clone, Debug)]
pub struct Attach {
    /// Virtual machine monitor that the arguments are for; all but qemu have one style
    #[arg(long, value_enum, default_value_t = Monitor::Qemu)]
    pub target: Monitor,
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
    /// Machine type of QEMU that the arguments are for: pc, q35, microvm, virt (without UEFI),
    /// virt-uefi, s390-ccw-virtio or pseries, with version and properties as in microvm,pcie=on
    /// [default: that of the program of `exec`, else one that has PCI and SMBIOS tables]
    #[arg(long, value_name = "TYPE")]
    pub machine: Option<MachineType>,
    /// Drive serial, at most 20 bytes [default: the label in lower case, else the image's file
    /// name up to its extension]
    #[arg(long)]
    pub serial: Option<String>,
    /// QEMU id of the drive [default: credimg- and the serial]
    #[arg(long)]
    pub id: Option<String>,
}

/// `credimg audit`
#[derive(Args, Debug)]
#[command(after_help = "\
Each line of output is FILE:LINE:COLUMN: RULE: WHY; instead: SAFE FORM. What was found is not shown.
Of a directory every regular file is looked at, in the order of the names; links are not followed,
and files that are no text are passed over. A comment `credimg: ignore [RULE…] [-- WHY]` on a line,
or above it, lets what stands there pass.

Exit codes: 0 nothing found, 5 something found, 4 nothing found but a file is not readable.

Examples:
  credimg audit start-vm.sh /etc/systemd/system/vm@.service
  credimg audit /etc/libvirt /etc/systemd/system
  credimg audit --running
  credimg audit --pid $(pidof qemu-system-x86_64)
  virsh dumpxml chimera | credimg audit --json -")]
pub struct Audit {
    /// A shell or Python script, systemd unit, libvirt XML, JSON, YAML, cloud-config, Proxmox
    /// or mkosi configuration, kickstart, preseed, log, `ps` listing, journal export or
    /// /proc/PID/cmdline, at most 16 MiB; a directory of such; or - for standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["running", "pids"],
        value_hint = ValueHint::AnyPath)]
    pub files: Vec<PathBuf>,
    /// Look at the arguments of every virtual machine monitor that runs on this host, and of
    /// what started it, as far as the caller may see them
    #[arg(long)]
    pub running: bool,
    /// Look at the arguments of these processes
    #[arg(long = "pid", value_name = "PID", num_args = 1.., value_parser = process)]
    pub pids: Vec<u32>,
    /// Print a JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// A process of `--pid`, which takes every word behind it.
fn process(text: &str) -> Result<u32, String> {
    let expected = "expected the number of a process; files stand in front of --pid";
    text.parse().map_err(|_| expected.to_owned())
}

/// A number of bytes, perhaps with the first letter of a binary unit behind.
fn size(text: &str) -> Result<u64, String> {
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

/// `credimg completions`
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  credimg completions bash > /etc/bash_completion.d/credimg")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `credimg man`
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  credimg man /usr/local/share/man/man1")]
pub struct Man {
    /// The directory to write credimg.1 and one page a command into
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
}
