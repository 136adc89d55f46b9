//! `credimg completions`: a shell's completion script, and what the generated one cannot do.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, print};
use crate::report::Failure;

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  mkdir -p ~/.local/share/bash-completion/completions &&
  credimg completions bash >~/.local/share/bash-completion/completions/credimg")]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

const BASH: &str = include_str!("completions/credimg.bash");
const ZSH: &str = include_str!("completions/credimg.zsh");
/// How the function of zsh begins, and what comes first in it.
const ZSH_BEGIN: &str = "_credimg() {\n";
const ZSH_CALL: &str = "_credimg() {\n    _credimg_program; local status_of_program=$?\n    ((status_of_program == 2)) || return $status_of_program\n";
/// What it has for the program that `exec` starts, as if that might stand without `--`.
const ZSH_PROGRAM: &str = ":_cmdambivalent'";
const FISH: &str = include_str!("completions/credimg.fish");

pub(super) fn run(options: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "credimg", &mut script);
    let script = String::from_utf8_lossy(&script);
    print(completed(options.shell, &script).as_bytes())
}

/// The script with what is written by hand.
fn completed(shell: Shell, script: &str) -> String {
    if shell == Shell::Bash {
        format!("{script}{BASH}")
    } else if shell == Shell::Fish {
        format!("{script}{FISH}")
    } else if shell == Shell::Zsh {
        // The first line says what it completes, and the last ones call the function.
        let (first, rest) = script.split_once('\n').unwrap_or((script, ""));
        let is_kept = |line: &&str| !line.contains(ZSH_PROGRAM);
        let rest: Vec<_> = rest.lines().filter(is_kept).collect();
        let rest = rest.join("\n").replacen(ZSH_BEGIN, ZSH_CALL, 1);
        // A colon in the name of a value, as in NAME[:LEVEL], would end it.
        format!("{first}\n{ZSH}{}\n", rest.replace("[:", "[\\:"))
    } else {
        script.to_owned()
    }
}
