//! `credimg fleet`: what is done for all machines of one manifest.

mod args;
mod build;
mod check;
mod list;

use clap::Subcommand;

use crate::report::Failure;

/// `credimg fleet`
#[derive(Debug, Subcommand)]
pub enum Fleet {
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

pub(super) fn run(command: &Fleet) -> Result<(), Failure> {
    match command {
        Fleet::Build(options) => build::run(options),
        Fleet::Check(options) => check::run(options),
        Fleet::Args(options) => args::run(options),
        Fleet::List(options) => list::run(options),
    }
}
