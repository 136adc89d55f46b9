//! One file a command: load, call, print.

mod access;
mod args;
mod attach;
mod audit;
mod audit_inputs;
mod beside;
mod blocks;
mod build;
pub mod check;
mod dependencies;
mod encryption;
mod exec;
mod existing;
mod genkey;
mod guest_unit;
mod image;
mod inspect;
mod links;
mod loss;
mod opened;
mod pages;
mod reach;
mod request;
mod seal;
pub(crate) mod secret;
mod seed;
mod settings;
mod summary;
mod trusted;
pub(crate) mod user_data;
mod xattrs;

use crate::cli::{Cli, Command};

/// Runs the command that the command line names.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.command {
        Command::Build(options) => build::run(options),
        Command::Exec(options) => exec::run(options),
        Command::Check(options) => check::run(options),
        Command::Seal(options) => seal::run(options),
        Command::Args(options) => args::run(options),
        Command::Inspect(options) => inspect::run(options),
        Command::Genkey(options) => genkey::run(options),
        Command::Secret(command) => secret::run(command),
        Command::GuestUnit(options) => guest_unit::run(options),
        Command::Audit(options) => audit::run(options),
        Command::Completions(options) => pages::completions(options),
        Command::Man(options) => pages::man(options),
    }
}

/// Writes data to standard output; the one place that does.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| {
        let message = format!("cannot write to standard output: {}", crate::report::reason(&error));
        crate::report::Failure::new(crate::report::Exit::Output, message).into()
    })
}
