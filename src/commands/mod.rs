//! The command line: one file a command, with its options and what it does: load, call, print.
//! What several commands take is in `options.rs`.

mod args;
mod audit;
mod build;
mod cat;
pub mod check;
mod completions;
mod diff;
mod dump;
mod exec;
mod extract;
mod fleet;
mod genkey;
mod guest_unit;
mod inspect;
mod ls;
mod man;
mod options;
mod probe;
#[cfg(feature = "seal")]
mod seal;
pub(crate) mod secret;
mod suggested;
pub mod usage;
mod verify;
mod version;

use clap::{Parser, Subcommand};

use crate::host::output;
use crate::host::random;
use crate::report::terminal::Colour;
use crate::report::{Exit, Failure, verbose};

/// Where help lists the options of every command: behind those of the command itself.
const BEHIND_OTHERS: usize = 900;

/// Builds a read-only secrets disk for a virtual machine and prints the arguments that attach it.
#[derive(Debug, Parser)]
#[command(name = "credimg", version, long_version = version::long())]
#[command(max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Example:
  disk=$(credimg build secrets.yaml -o chimera.erofs) &&
  eval \"qemu-system-x86_64 -m 1G $disk\"

Exit codes: 0 done, 1 images differ, 2 usage, 3 manifest, 4 source, 5 policy or permission,
6 a command failed, 7 output, 8 image invalid.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// When messages and help have colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Colour::Auto, global = true)]
    #[arg(display_order = BEHIND_OTHERS)]
    pub color: Colour,
    /// Tell each step on standard error: what is read and run, what is chosen and why, and how long
    /// it takes
    #[arg(short, long, global = true, display_order = BEHIND_OTHERS)]
    pub verbose: bool,
}

/// The commands. What a command's options are is found out only where it is called, or where all
/// are asked for. It is added to what stands here, so that no struct of options may have a doc
/// comment: the parser would take that for the description of the command.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Build an image from a manifest and print the arguments that attach it
    Build(Box<build::Build>),
    /// Build an image in memory and become the virtual machine monitor, which inherits it: neither
    /// image nor credentials are written to any disk
    Exec(Box<exec::Exec>),
    /// Start the machine of QEMU's arguments with a tiny program in place of its disks, and say which
    /// of the things that are sent to it arrive
    Probe(Box<probe::Probe>),
    /// Check a manifest and its pseudo files and show the plan, without running anything or
    /// opening a file of a source
    Check(check::Check),
    /// Do for all machines of one manifest what other commands do for one
    Fleet(fleet::Fleet),
    /// Seal a manifest's tree for a share that the guest can write, and print the arguments
    /// that give it the share and the key
    #[cfg(feature = "seal")]
    Seal(seal::Seal),
    /// Print the arguments that attach an image that exists
    Args(args::AttachImage),
    /// Say what an image is, how much it holds and how it is encrypted
    Inspect(inspect::Inspect),
    /// List what is in an image
    Ls(ls::Ls),
    /// Print what files of an image hold
    Cat(cat::Cat),
    /// Extract files of an image into a directory
    Extract(extract::Extract),
    /// Check every record of an image, and that it holds what a manifest says
    Verify(Box<verify::Verify>),
    /// Say which files of two images differ, and in what
    Diff(diff::Diff),
    /// List an image byte by byte: records, padding, and the lengths and digests of content
    Dump(dump::Dump),
    /// Make a key, in a private file of its own
    Genkey(genkey::Genkey),
    /// Wrap secrets so that they may stand in QEMU's arguments, and unwrap them
    Secret(secret::Options),
    /// Print what mounts the disk and loads the credentials in guests older than systemd 254, and
    /// opens an encrypted one in those older than 256
    GuestUnit(guest_unit::GuestUnit),
    /// Find secrets that stand inline in scripts, configurations, logs and command lines
    Audit(audit::Audit),
    /// Print a shell's completion script
    Completions(completions::Completions),
    /// Write the manual pages into a directory
    Man(man::Man),
}

/// Runs the command that the command line names.
pub fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.verbose {
        require_not_quiet(&cli.command)?;
        verbose::want();
    }
    if reads_manifest(&cli.command) {
        random::seed_tables()?;
    }
    match &cli.command {
        Command::Build(options) => build::run(options),
        Command::Exec(options) => exec::run(options),
        Command::Probe(options) => probe::run(options),
        Command::Check(options) => check::run(options),
        Command::Fleet(options) => fleet::run(options),
        #[cfg(feature = "seal")]
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
        Command::Secret(options) => secret::run(options),
        Command::GuestUnit(options) => guest_unit::run(options),
        Command::Audit(options) => audit::run(options),
        Command::Completions(options) => completions::run(options),
        Command::Man(options) => man::run(options),
    }
}

/// An error where a command that tells each step is to be quiet. The parser does not see that
/// where one of the two stands before the command's name.
fn require_not_quiet(command: &Command) -> Result<(), Failure> {
    let is_quiet = match command {
        Command::Build(options) => options.quiet,
        Command::Exec(options) => options.quiet,
        Command::Probe(options) => options.quiet,
        #[cfg(feature = "seal")]
        Command::Seal(options) => options.quiet,
        Command::Extract(options) => options.quiet,
        Command::Verify(options) => options.quiet,
        Command::Fleet(options) => options.is_quiet(),
        Command::Check(_)
        | Command::Args(_)
        | Command::Inspect(_)
        | Command::Ls(_)
        | Command::Cat(_)
        | Command::Diff(_)
        | Command::Dump(_)
        | Command::Genkey(_)
        | Command::Secret(_)
        | Command::GuestUnit(_)
        | Command::Audit(_)
        | Command::Completions(_)
        | Command::Man(_) => false,
    };
    if !is_quiet {
        return Ok(());
    }
    let message = "--verbose and --quiet ask for opposite things";
    Err(Failure::new(Exit::Usage, message).hint("leave one of them out"))
}

/// Whether it reads a manifest, of which hash tables are made.
fn reads_manifest(command: &Command) -> bool {
    match command {
        #[cfg(feature = "seal")]
        Command::Seal(_) => true,
        Command::Build(_)
        | Command::Exec(_)
        | Command::Probe(_)
        | Command::Check(_)
        | Command::Fleet(_)
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

/// Writes data to standard output.
fn print(bytes: &[u8]) -> Result<(), Failure> {
    output::to_stdout(bytes)
}

/// The failure of printing, with the name of what could not be printed.
fn naming(failure: Failure, what: &str) -> Failure {
    let message = failure.message.replacen("write to", &format!("write {what} to"), 1);
    Failure { message, ..failure }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Those of all commands together take a third of the time in which a small disk is made.
    #[test]
    fn the_options_of_a_command_wait_until_it_is_called() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert_eq!(command.get_arguments().count(), 0, "{name}");
            assert_eq!(command.get_subcommands().count(), 0, "{name}");
        }
    }
}
