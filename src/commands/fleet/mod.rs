//! `credimg fleet`: what is done for all machines of one manifest.

mod check;

use clap::Subcommand;

use crate::report::Failure;

/// `credimg fleet`
#[derive(Debug, Subcommand)]
pub enum Fleet {
    /// Check that no machine gets what is another's, and show who gets what, without running
    /// anything or opening a file of a source
    Check(check::Check),
}

pub(super) fn run(command: &Fleet) -> Result<(), Failure> {
    match command {
        Fleet::Check(options) => check::run(options),
    }
}
