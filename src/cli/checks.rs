//! What the commands take that judge an image, or compare two.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{Attach, Look, Sources, size};
use crate::manifest::Format;
use crate::monitors::SmbiosForm;
use crate::sources::command::Limits;

/// `credimg verify`
#[derive(Args, Debug)]
#[command(after_help = "\
Every record of the image is checked: superblock, checksums, directories, link counts, padding, and
that nothing overlaps. With --manifest its sources are read and its commands run as by a build, and
each path is compared: content, mode, owner, time, extended attributes, and the label. Give the
options that the image was built with. What differs is named, never shown.

Exit codes: 0 valid, 8 not valid, 1 valid but not what the manifest says.

Examples:
  credimg verify chimera.erofs
  credimg verify chimera.erofs --key-file chimera.key --manifest secrets.yaml")]
pub struct Verify {
    /// The image.
    #[command(flatten)]
    pub look: Look,
    /// Compare with what a build of this manifest would hold, or - for standard input
    #[arg(long, value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: Option<PathBuf>,
    /// What that build is told.
    #[command(flatten)]
    pub wishes: Wishes,
    /// Print nothing where all is well
    #[arg(short, long)]
    pub quiet: bool,
    /// Print a JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// What a build is told that decides what its image holds.
#[derive(Args, Debug)]
pub struct Wishes {
    /// Image format, whatever the manifest says [default: the image's]
    #[arg(long, value_name = "FORMAT", requires = "manifest")]
    pub format: Option<Format>,
    /// Volume label, whatever the manifest says
    #[arg(long, value_name = "LABEL", requires = "manifest")]
    pub label: Option<String>,
    /// Time of every entry without one, in seconds since 1970 [default: `SOURCE_DATE_EPOCH`, else
    /// the image's own]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, requires = "manifest")]
    pub mtime: Option<i64>,
    /// Do not miss what the image's format cannot hold
    #[arg(long, requires = "manifest")]
    pub lossy: bool,
    /// What the image is made of.
    #[command(flatten)]
    pub sources: Sources,
    /// How the image is attached, which decides where credentials are.
    #[command(flatten)]
    pub attach: Attach,
    /// Most bytes of the content of all files, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Refuse sources that another user of the host can exchange, where the caller is root
    #[arg(long, requires = "manifest")]
    pub strict: bool,
    /// How credentials that go by SMBIOS are given to QEMU
    #[arg(long, value_name = "FORM", value_enum, default_value_t = SmbiosForm::File)]
    pub smbios: SmbiosForm,
    /// Warn of what this guest drops, as in systemd=252,kernel=5.14,cvm=no,os=rhel-9,machine=q35
    #[arg(long, value_name = "FACTS", requires = "manifest")]
    pub guest: Option<String>,
    /// Seconds that a command of the manifest may take
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::TIMEOUT_SECONDS, value_parser = clap::value_parser!(u32).range(1..))]
    pub command_timeout: u32,
    /// Show what the manifest's commands print on standard error
    #[arg(long, requires = "manifest")]
    pub command_stderr: bool,
}

/// `credimg diff`
#[derive(Args, Debug)]
#[command(after_help = "\
Each line is + PATH for what NEW alone holds, - PATH for what OLD alone holds, or M PATH and what
differs: kind, content, target, device, mode, owner, time, xattrs or links. No value is shown. The
formats may differ: what one of them does not hold is compared as far as it does.

Exit codes: 0 alike, 1 different.

Examples:
  credimg diff old.erofs new.erofs
  credimg diff old.erofs new.erofs --key-file old.key --new-key-file new.key")]
pub struct Diff {
    /// The older image, a file
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    pub old: PathBuf,
    /// The newer image, a file
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    pub new: PathBuf,
    /// Look into an encrypted OLD with the key in FILE, and into an encrypted NEW as well unless it
    /// has another one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Look into an encrypted NEW with the key in FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub new_key_file: Option<PathBuf>,
    /// Derive keys whatever a header asks for: see `inspect`
    #[arg(long)]
    pub allow_cost: bool,
    /// Print a JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// `credimg dump`
#[derive(Args, Debug)]
#[command(after_help = "\
Every byte of the image stands in exactly one line: a field of a record with its value, padding, or
content, of which the length and the SHA-256 alone are shown. Names of files are shown. Of an
encrypted image the header is listed, and with --key-file what is inside as well.

Examples:
  credimg dump chimera.erofs
  credimg dump chimera.erofs --key-file chimera.key | less")]
pub struct Dump {
    /// The image.
    #[command(flatten)]
    pub look: Look,
    /// Tell content by its length alone: who has the digest of a short secret finds it out by
    /// trying
    #[arg(long)]
    pub no_digests: bool,
}
