//! `credimg completions`: a shell's completion script.

use clap::{Args, CommandFactory};

use super::{Cli, print};
use crate::report::Failure;

/// `credimg completions`
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  mkdir -p ~/.local/share/bash-completion/completions &&
  credimg completions bash >~/.local/share/bash-completion/completions/credimg")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

pub(super) fn run(options: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "credimg", &mut script);
    print(&script)
}
