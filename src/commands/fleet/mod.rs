//! `credimg fleet`: what is done for all machines of one manifest.

mod args;
mod build;
mod check;
mod list;

use std::path::Path;

use clap::{Args, Subcommand};

use crate::manifest::fleet::Template;
use crate::manifest::manifest_name;
use crate::report::{Exit, Failure};

// Options of `credimg fleet`, which has none but those of its commands.
#[derive(Args, Debug)]
pub struct Fleet {
    /// What to do for all machines.
    #[command(subcommand)]
    pub command: Command,
}

impl Fleet {
    /// Whether nothing is to be told but what is wrong.
    pub(super) fn is_quiet(&self) -> bool {
        match &self.command {
            Command::Build(options) => options.quiet,
            Command::Check(_) | Command::Args(_) | Command::List(_) => false,
        }
    }
}

// The commands of `credimg fleet`, whose options are found out where they are called alone.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Build the images of all machines, a failure of one leaving the others
    Build(Box<build::Build>),
    /// Check that no machine gets what is another's, and show who gets what, without running
    /// anything or opening a file of a source
    Check(check::Check),
    /// Print the arguments that attach the image of one machine, which exists
    Args(Box<args::AttachMachine>),
    /// Print the names of the machines, one a line
    List(list::List),
}

/// The template that an option gives.
fn template(text: Option<&str>, option: &'static str) -> Result<Option<Template>, Failure> {
    text.map(|text| Template::parse(text, option)).transpose()
}

/// The failure where nothing says where the images go, or are.
fn homeless(fleet: &Path, verb: &str) -> Failure {
    let message = format!("{} does not say where the images {verb}", manifest_name(fleet));
    Failure::new(Exit::Usage, message)
        .hint("name the place by -o or `output`, as in '/run/credimg/{machine}/disk.erofs'")
}

pub(super) fn run(fleet: &Fleet) -> Result<(), Failure> {
    match &fleet.command {
        Command::Build(options) => build::run(options),
        Command::Check(options) => check::run(options),
        Command::Args(options) => args::run(options),
        Command::List(options) => list::run(options),
    }
}
