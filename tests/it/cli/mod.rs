//! The program from outside: what it prints, what it leaves, how it ends.

mod access;
mod check;
mod commands;
mod environment;
mod exit_codes;
mod first_contact;
mod iso9660;
mod labels;
mod links;
mod lossy;
mod promises;
mod random;
mod report_fields;
mod reports;
mod seeds;
mod signals;
mod size;
mod sparse;
mod streams;
mod terminal;
mod torn;
mod usage;
mod verbose;
mod xattrs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::host::{Host, stderr, stdout};
use crate::support::wait::wait_for;

const CANARY: &str = "c4n4ry-7f1e-do-not-show";
const UUID: &str = "12345678-9abc-4def-8012-3456789abcde";

impl Host {
    /// How many temporaries there are, beside an output or in a private directory.
    fn leftovers(&self) -> usize {
        let entries = walkdir::WalkDir::new(self.path("")).into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        files.filter(|file| file.path().to_string_lossy().contains(".credimg-")).count()
    }
}
