//! `credimg completions` and `credimg man`: what packagers install.

use clap::CommandFactory;

use super::print;
use crate::cli::{Cli, Completions, Man};
use crate::report::{self, Exit, Failure};

pub(super) fn completions(options: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "credimg", &mut script);
    print(&script)
}

pub(super) fn man(options: &Man) -> anyhow::Result<()> {
    clap_mangen::generate_to(Cli::command(), &options.directory).map_err(|error| {
        let directory = report::shown(&options.directory);
        let message =
            format!("cannot write manual pages to {directory}: {}", report::reason(&error));
        Failure::new(Exit::Output, message).into()
    })
}
