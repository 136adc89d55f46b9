//! From the plan to the tree: runs every source in the manifest's order and
//! puts what it delivers into one [`Tree`].
//!
//! Where several entries make one directory it gets the attributes of the
//! last; nothing else may be made twice.

use std::path::PathBuf;

use anyhow::Result;
use credimg_formats::{Timestamp, Tree};

use crate::manifest::{Entry, Plan, Position, manifest_name};
use crate::report::{Exit, Failure};
use crate::signals;
use crate::source::builder::TreeBuilder;
use crate::source::pseudo::{self, Policy};
use crate::source::{self, command};

pub use crate::source::builder::{Place, Step};

/// What an assembly depends on besides the manifest.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The time of everything whose time is not given.
    pub build_time: Timestamp,
    /// What each command is granted.
    pub commands: command::Limits,
    /// What is allowed at all.
    pub policy: Policy,
    /// Where the image will lie: no source of its own.
    pub output: Place,
}

/// Reads and runs the sources of `plan`. Large files, and small ones once 8 MiB
/// are in memory, are only looked at: they are streamed when the image is
/// written, and an error then if they changed. `progress` hears of every entry
/// and of every 1,024 inodes, and now and then while a command runs.
///
/// The pseudo definitions of `plan` follow its entries. They and `policy` are
/// checked before any source is read.
///
/// Each error holds a [`Failure`] that begins with the entry's key path and its
/// path in the image, those of the manifest itself with file, line and column:
/// exit code 3 for entries that collide and for wrong pseudo definitions, 4 for a
/// source that cannot be read, 5 for what the policy forbids, 6 for a command,
/// 130 for a signal. After an error no command is left running.
pub fn assemble(plan: &Plan, settings: &Settings, progress: &mut dyn FnMut(Step)) -> Result<Tree> {
    assemble_noting(plan, settings, None, progress)
}

/// The same, which adds to `inputs` the files and directories of the host that it reads, in
/// the order in which it comes upon them: not the manifest, nor what a command reads.
pub fn assemble_noting(
    plan: &Plan,
    settings: &Settings,
    inputs: Option<&mut Vec<PathBuf>>,
    progress: &mut dyn FnMut(Step),
) -> Result<Tree> {
    let definitions = pseudo::load(plan)?;
    pseudo::require_allowed(settings.policy, plan, &definitions)?;
    let mut builder = TreeBuilder::new(plan, &definitions, settings, progress);
    if let Some(inputs) = inputs {
        builder.note_inputs(inputs);
    }
    for (index, entry) in plan.entries.iter().enumerate() {
        signals::check()?;
        builder.begin(index, entry);
        source::collect(entry, &settings.commands, &mut builder)
            .map_err(|failure| in_entry(failure, plan, entry))?;
    }
    source::collect_pseudo(&definitions, &settings.commands, &mut builder)?;
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
