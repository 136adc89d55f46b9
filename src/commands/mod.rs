//! One file a command: load, call, print.

mod args;
mod audit;
mod audit_inputs;
mod build;
mod cat;
pub mod check;
mod diff;
mod dump;
mod exec;
mod extract;
mod genkey;
mod guest_unit;
mod inspect;
mod ls;
mod pages;
mod seal;
pub(crate) mod secret;
mod verify;

use std::io::{self, IsTerminal};

use clap::builder::StyledStr;

use crate::cli::{Cli, Command};
use crate::host::output;
use crate::host::random;

/// Runs the command that the command line names.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    if reads_manifest(&cli.command) {
        random::seed_tables()?;
    }
    match &cli.command {
        Command::Build(options) => build::run(options),
        Command::Exec(options) => exec::run(options),
        Command::Check(options) => check::run(options),
        Command::Seal(options) => seal::run(options),
        Command::Args(options) => args::run(options),
        Command::Inspect(options) => inspect::run(options),
        Command::Ls(options) => ls::run(options),
        Command::Cat(options) => cat::run(options),
        Command::Extract(options) => extract::run(options),
        Command::Diff(options) => diff::run(options),
        Command::Verify(options) => verify::run(options),
        Command::Dump(options) => dump::run(options),
        Command::Genkey(options) => genkey::run(options),
        Command::Secret(command) => secret::run(command),
        Command::GuestUnit(options) => guest_unit::run(options),
        Command::Audit(options) => audit::run(options),
        Command::Completions(options) => pages::completions(options),
        Command::Man(options) => pages::man(options),
    }
}

/// Whether it reads a manifest, of which hash tables are made.
fn reads_manifest(command: &Command) -> bool {
    match command {
        Command::Build(_)
        | Command::Exec(_)
        | Command::Check(_)
        | Command::Seal(_)
        | Command::Verify(_)
        | Command::GuestUnit(_) => true,
        Command::Args(_)
        | Command::Inspect(_)
        | Command::Ls(_)
        | Command::Cat(_)
        | Command::Extract(_)
        | Command::Diff(_)
        | Command::Dump(_)
        | Command::Genkey(_)
        | Command::Secret(_)
        | Command::Audit(_)
        | Command::Completions(_)
        | Command::Man(_) => false,
    }
}

/// Prints the help or the version, with colours on a terminal.
pub fn answer(text: &StyledStr) -> anyhow::Result<()> {
    let is_coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = if is_coloured { text.ansi().to_string() } else { text.to_string() };
    print(text.as_bytes())
}

/// Writes data to standard output.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    Ok(output::to_stdout(bytes)?)
}
