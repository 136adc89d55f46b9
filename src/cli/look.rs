//! The commands that look into an image, and what all of them take.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::size;

/// An image, and what opens it.
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

/// `credimg ls`
#[derive(Args, Debug)]
#[command(after_help = "\
Columns of -l: type and permissions, with a + where an access control list adds to them; number of
links; owner; group; size in bytes, of a device its two numbers; time in UTC; name. Names are in
bytewise order. Those that could drive a terminal are quoted and escaped.

Examples:
  credimg ls -l chimera.erofs /api
  credimg ls -R chimera.erofs --key-file chimera.key --json")]
#[expect(clippy::struct_excessive_bools, reason = "a flag of the command line each")]
pub struct Ls {
    /// What is looked into.
    #[command(flatten)]
    pub look: Look,
    /// What to list: files, and what is in directories. Links are not followed [default: /]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Print a line with all metadata for each, as `ls -l --full-time` does
    #[arg(short)]
    pub long: bool,
    /// List directories with all that is below them
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// List directories themselves, not what is in them
    #[arg(short, long, conflicts_with = "recursive")]
    pub directory: bool,
    /// Print a JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// `credimg cat`
#[derive(Args, Debug)]
#[command(after_help = "\
Symbolic links are followed inside the image, as its guest would follow them.

Examples:
  credimg cat chimera.erofs /motd
  credimg cat chimera.erofs --key-file chimera.key /ssh/key > key")]
pub struct Cat {
    /// What is looked into.
    #[command(flatten)]
    pub look: Look,
    /// Files of the image
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Write to a terminal what is no text
    #[arg(short, long)]
    pub force: bool,
}

/// `credimg extract`
#[derive(Args, Debug)]
#[command(after_help = "\
Files become private: of mode 0600, directories 0700, owned by the caller, whatever the umask.
Devices are left out. Nothing is written outside of DIR: no symbolic link there is followed. It
does not wait for the disk, as `sync` would.

Examples:
  credimg extract chimera.erofs out
  credimg extract chimera.erofs out /ssh --preserve
  sudo credimg extract chimera.erofs out --preserve --owners --xattrs --devices")]
#[expect(clippy::struct_excessive_bools, reason = "a flag of the command line each")]
pub struct Extract {
    /// What is looked into.
    #[command(flatten)]
    pub look: Look,
    /// The directory to fill, which is made where there is none; no symbolic link
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// Files and directories to extract, under their whole paths [default: all]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Keep modes and times; set-id bits with --owners only
    #[arg(short, long)]
    pub preserve: bool,
    /// Keep owners and groups, as root
    #[arg(long)]
    pub owners: bool,
    /// Keep extended attributes; capabilities with --owners only
    #[arg(long, requires = "preserve")]
    pub xattrs: bool,
    /// Make device nodes, as root
    #[arg(long)]
    pub devices: bool,
    /// Replace files and links that are there already
    #[arg(short, long)]
    pub force: bool,
    /// Most bytes of the files extracted, together, with a suffix as in 512M, 64G or 1T
    #[arg(long, value_name = "SIZE", default_value = "64G", value_parser = size)]
    pub max_size: u64,
    /// Print no summary and no progress
    #[arg(short, long)]
    pub quiet: bool,
}
