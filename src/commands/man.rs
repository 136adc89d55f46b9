//! `credimg man`: the manual pages.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use clap::{Args, CommandFactory, ValueHint};

use super::Cli;
use crate::manual;
use crate::report::{self, Exit, Failure};

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  mkdir -p ~/.local/share/man/man1 ~/.local/share/man/man5 &&
  credimg man ~/.local/share/man/man1 &&
  mv ~/.local/share/man/man1/credimg-manifest.5 ~/.local/share/man/man5/")]
pub struct Man {
    /// The directory, which has to be there, to write credimg.1, one page a command and
    /// credimg-manifest.5 into
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
}

pub(super) fn run(options: &Man) -> Result<(), Failure> {
    for manual::File { name, text } in manual::files(Cli::command()) {
        let path = options.directory.join(name);
        fs::write(&path, text).map_err(|error| {
            let (path, reason) = (report::shown(&path), report::reason(&error));
            let failure = Failure::new(Exit::Output, format!("cannot write {path}: {reason}"));
            let is_missing = error.kind() == ErrorKind::NotFound;
            if is_missing { failure.hint("the directory must exist") } else { failure }
        })?;
    }
    Ok(())
}
