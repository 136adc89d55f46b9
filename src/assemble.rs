//! From the plan to the tree: runs every source in the manifest's order and
//! puts what it delivers into one [`Tree`].
//!
//! Where several entries make one directory it gets the attributes of the
//! last; nothing else may be made twice.

use anyhow::Result;
use credimg_formats::{Timestamp, Tree};

use crate::manifest::{Entry, Plan, Position, manifest_name};
use crate::report::{Exit, Failure};
use crate::signals;
use crate::source::builder::TreeBuilder;
use crate::source::{self, command};

pub use crate::source::builder::{Place, Step};

/// What an assembly depends on besides the manifest.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The time of everything whose time is not given.
    pub build_time: Timestamp,
    /// What each command is granted.
    pub commands: command::Limits,
    /// Where the image will lie: no source of its own.
    pub output: Place,
}

/// Reads and runs the sources of `plan`. Large files, and small ones once 8 MiB
/// are in memory, are only looked at: they are streamed when the image is
/// written, and an error then if they changed. `progress` hears of every entry
/// and of every 1,024 inodes, and now and then while a command runs.
///
/// Each error holds a [`Failure`] that begins with the entry's key path and its
/// path in the image, those of the manifest itself with file, line and column: exit code 3 for entries that collide, 4 for a source that
/// cannot be read, 6 for a command, 130 for a signal. After an error no command
/// is left running.
pub fn assemble(plan: &Plan, settings: &Settings, progress: &mut dyn FnMut(Step)) -> Result<Tree> {
    let mut builder = TreeBuilder::new(plan, settings, progress);
    for (index, entry) in plan.entries.iter().enumerate() {
        signals::check()?;
        builder.begin(index, entry);
        source::collect(entry, &settings.commands, &mut builder)
            .map_err(|failure| in_entry(failure, plan, entry))?;
    }
    Ok(builder.finish())
}

/// Says which entry failed, and where the manifest is to be mended if that is
/// wrong. A signal is no entry's fault.
fn in_entry(mut failure: Failure, plan: &Plan, entry: &Entry) -> Failure {
    let Position { line, column, key_path } = &entry.position;
    let place = match failure.exit {
        Exit::Interrupted => return failure,
        Exit::Manifest => format!("{}:{line}:{column}: ", manifest_name(&plan.manifest)),
        _ => String::new(),
    };
    failure.message = format!("{place}{key_path} ({}): {}", entry.path, failure.message);
    failure
}
