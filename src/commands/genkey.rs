//! `credimg genkey`: a key in a file of its own.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde::Serialize;

use super::{naming, print};
use crate::host::output;
use crate::keys::Key;
use crate::keys::wrap::MasterKey;
use crate::report::{Exit, Failure, json, shown};

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
    /// Print a JSON report of the file
    #[arg(long)]
    pub json: bool,
}

/// What was made, but for the key. The field names are stable: programs read them.
#[derive(Serialize)]
struct Report {
    key_file: String,
    kind: &'static str,
}

pub(super) fn run(options: &Genkey) -> Result<(), Failure> {
    let secret = if options.luks { Key::generate()?.into_secret() } else { MasterKey::generate()? };
    if options.file == Path::new("-") {
        if options.json {
            let message = "the key goes to standard output, so the report cannot go there";
            return Err(Failure::new(Exit::Usage, message).hint("name a file for the key"));
        }
        return print(secret.expose());
    }
    // Whatever it is: the output has reasons of its own against directories and FIFOs.
    let is_there = std::fs::symlink_metadata(&options.file).is_ok();
    if !is_there
        && output::create_once(&options.file, secret.expose(), output::Permissions::default())?
    {
        return if options.json { tell(options) } else { Ok(()) };
    }
    // A second name of it may be left of a run that was killed.
    output::finish_once(&options.file)?;
    let message = format!("{} is there already: a key is never replaced", shown(&options.file));
    Err(Failure::new(Exit::Output, message).hint("give the new key another name"))
}

fn tell(options: &Genkey) -> Result<(), Failure> {
    let kind = if options.luks { "luks" } else { "master" };
    let report = json::line(&Report { key_file: json::path(&options.file), kind })?;
    print(&report).map_err(|failure| {
        let hint = format!("the key file {} is in place", shown(&options.file));
        naming(failure, "the report").hint(hint)
    })
}
