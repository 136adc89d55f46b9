//! Keys, and what is wrapped with them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// `credimg genkey`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  credimg genkey chimera.master       # one a machine, for --master-key
  credimg genkey --luks chimera.key   # for --key-file")]
pub struct Genkey {
    /// The file to make, which must not be there yet, or - for standard output
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Make the key of an encrypted image, 64 hexadecimal digits, instead of a master key, 32
    /// bytes in base64
    #[arg(long)]
    pub luks: bool,
}

/// `credimg secret`
#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Wrap standard input and print the -object that gives it to QEMU
    Wrap(Wrap),
    /// Print what an -object on standard input holds
    Unwrap(Unwrap),
}

/// `credimg secret wrap`
#[derive(Args, Debug)]
#[command(after_help = "\
The master key itself goes to QEMU by a file:
  -object secret,id=credimg-master,file=chimera.master,format=base64

Example:
  vnc=$(pass show chimera/vnc | credimg secret wrap --master-key chimera.master --id vnc0 --trim) &&
  eval \"qemu-system-x86_64 \\
    -object secret,id=credimg-master,file=chimera.master,format=base64 $vnc \\
    -vnc :0,password-secret=vnc0\"")]
pub struct Wrap {
    /// File of the master key, 32 bytes in base64
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub master_key: PathBuf,
    /// QEMU id of the secret
    #[arg(long)]
    pub id: String,
    /// QEMU id of the secret that holds the master key
    #[arg(long, value_name = "ID", default_value = "credimg-master")]
    pub keyid: String,
    /// Drop one newline at the secret's end
    #[arg(long)]
    pub trim: bool,
    /// Print a JSON object, as -object and QMP's object-add take it
    #[arg(long)]
    pub json: bool,
}

/// `credimg secret unwrap`
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  credimg secret unwrap --master-key chimera.master <vnc.object")]
pub struct Unwrap {
    /// File of the master key, 32 bytes in base64
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub master_key: PathBuf,
}
