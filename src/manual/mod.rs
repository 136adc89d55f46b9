//! The manual pages: one of the program, one a command, and one of the manifest.
//!
//! What tables of the program know is taken from them: options from clap's command, keys from
//! the manifest's table, exit codes from the list of them. What has to be explained is written
//! by hand in `prose/`, in the macros of man(7).

mod command;
mod manifest;
mod page;
mod prose;

use clap::Command;

use page::Page;

/// The date of the release, which every page shows. The newest heading of CHANGELOG.md has it.
pub(crate) const DATE: &str = "2026-11-29";

/// One manual page as a file.
#[derive(Debug)]
pub(crate) struct File {
    /// The name of the file, as in `credimg.1`.
    pub(crate) name: String,
    /// What it holds, in ASCII.
    pub(crate) text: String,
}

/// Every page, where `program` is the whole command line.
pub(crate) fn files(mut program: Command) -> Vec<File> {
    program.build();
    let mut pages = command::pages(&program);
    pages.push(manifest::page());
    pages.into_iter().map(Page::into_file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Until there is a release the heading has no date.
    #[test]
    fn the_date_is_that_of_the_newest_release() {
        let changes = include_str!("../../CHANGELOG.md");
        let newest = changes.lines().find(|line| line.starts_with("## ")).unwrap_or_default();
        assert!(newest == "## Unreleased" || newest.ends_with(DATE), "{newest}");
    }
}
