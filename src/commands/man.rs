//! `credimg man`: the manual pages.

use std::path::PathBuf;

use clap::{Args, CommandFactory, ValueHint};

use super::Cli;
use crate::report::{self, Exit, Failure};

/// `credimg man`
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  credimg man /usr/local/share/man/man1")]
pub struct Man {
    /// The directory to write credimg.1 and one page a command into
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
}

pub(super) fn run(options: &Man) -> Result<(), Failure> {
    clap_mangen::generate_to(Cli::command().long_version(None), &options.directory).map_err(
        |error| {
            let directory = report::shown(&options.directory);
            let message =
                format!("cannot write manual pages to {directory}: {}", report::reason(&error));
            Failure::new(Exit::Output, message)
        },
    )
}
