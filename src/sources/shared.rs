//! What the manifest of a fleet shares among machines: in one run it is read, or run, once.
//!
//! Invariant: nothing is kept here but what `shared: true` says of, so that no secret of one
//! machine outlives its build.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use credimg_formats::Secret;
use rustix::fs::Stat;

use crate::report::Failure;

/// Most bytes of all files that are kept.
const FILES_MAX_BYTES: usize = 16 << 20;

/// What one machine has read and others may have.
#[derive(Default)]
pub struct Shared {
    files: Mutex<Files>,
    commands: Mutex<HashMap<CommandKey, Arc<Slot>>>,
}

#[derive(Default)]
struct Files {
    known: HashMap<PathBuf, (Secret, Stat)>,
    kept_bytes: usize,
}

/// What tells one command from another: its words, its directory, and whether a newline is dropped.
pub(super) type CommandKey = (Vec<OsString>, PathBuf, bool);

/// What came of a command. Whoever runs it holds the lock, for which the others wait.
pub(super) type Slot = Mutex<Option<Result<Secret, Failure>>>;

impl Shared {
    /// What the file at this path held when it was read, and what it was.
    pub(super) fn file(&self, path: &Path) -> Option<(Secret, Stat)> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.known.get(path).cloned()
    }

    /// Keeps what the file at this path holds, while there is room.
    pub(super) fn keep_file(&self, path: &Path, content: &Secret, stat: &Stat) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let kept_bytes = files.kept_bytes.saturating_add(content.len());
        if kept_bytes <= FILES_MAX_BYTES && !files.known.contains_key(path) {
            files.kept_bytes = kept_bytes;
            files.known.insert(path.to_owned(), (content.clone(), *stat));
        }
    }

    /// The place for what comes of a command.
    pub(super) fn command(&self, key: CommandKey) -> Arc<Slot> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(commands.entry(key).or_default())
    }
}

impl fmt::Debug for Shared {
    /// Nothing of what is kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}
