//! A sealed blob for a share.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};

use super::{Sources, size};
use crate::monitors::{MachineType, Style};
use crate::sources::command::Limits;

/// `credimg seal`
#[derive(Args, Debug)]
#[command(after_help = "\
The blob is an age file of a tar archive. Its key goes to the guest by an SMBIOS OEM string, the
credential age.identity, from the private file FILE.smbios beside the key file.

Example:
  share=$(credimg seal secrets.yaml -o share/chimera.tar.age --key-out chimera.key) &&
  eval \"qemu-system-x86_64 -m 1G $share\"")]
pub struct Seal {
    /// The manifest, or - for standard input
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: PathBuf,
    /// The blob to write, in the directory that is shared, or - for standard output (then no
    /// arguments are printed)
    #[arg(short, long, value_name = "BLOB", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// The key, an age identity file outside the share: made where there is none, and used as it
    /// is where there is one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_out: PathBuf,
    /// Time of every entry without one, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`,
    /// else now]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub mtime: Option<i64>,
    /// What the blob is made of.
    #[command(flatten)]
    pub sources: Sources,
    /// Most bytes of the files sealed, together, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Refuse sources that another user of the host can exchange, where the caller is root
    #[arg(long)]
    pub strict: bool,
    /// Machine type of QEMU, as for `build`: without SMBIOS tables the key goes by fw_cfg, from
    /// `FILE.fw_cfg.age.identity` [default: one that has PCI and SMBIOS tables]
    #[arg(long, value_name = "TYPE")]
    pub machine: Option<MachineType>,
    /// Style of the printed arguments
    #[arg(long = "args", value_name = "STYLE", default_value = "shell", value_parser = share_style())]
    pub style: Style,
    /// Owner of the blob and of the key's FILE.smbios, which QEMU's user reads; a user alone stands for
    /// the user's primary group as well [default: the caller]
    #[arg(long, value_name = "USER[:GROUP]")]
    pub owner: Option<String>,
    /// Let this user of the host read both as well, by an access control list
    #[arg(long, value_name = "USER")]
    pub reader: Option<String>,
    /// Mode of the blob and of the key's FILE.smbios, in octal
    #[arg(long, value_name = "MODE", default_value = "0600")]
    pub mode: String,
    /// Seconds that a command of the manifest may take
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::TIMEOUT_SECONDS, value_parser = clap::value_parser!(u32).range(1..))]
    pub command_timeout: u32,
    /// Show what the manifest's commands print on standard error
    #[arg(long)]
    pub command_stderr: bool,
    /// Print no summary and no progress; the warning stays
    #[arg(short, long)]
    pub quiet: bool,
}

/// The styles that carry a share: those without `-drive` and without a configuration file,
/// which holds no OEM strings.
fn share_style() -> impl TypedValueParser<Value = Style> {
    PossibleValuesParser::new(["shell", "lines", "json", "none"])
        .try_map(|text| Style::from_str(&text, false))
}
