//! What a fleet's manifest shares among machines. In one run it is read, or its command run, only
//! once.
//!
//! Invariant: nothing is kept here but sources with `shared: true`, so no secret of one machine
//! outlives its build.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use credimg_formats::Secret;
use rustix::fs::Stat;

use crate::host::trust::Census;
use crate::report::Failure;

/// Most bytes of all files that are kept.
const FILES_MAX_BYTES: usize = 16 << 20;

/// Content that one machine has read, kept for the others.
#[derive(Default)]
pub struct Shared {
    files: Mutex<HashMap<PathBuf, Arc<FileSlot>>>,
    kept_bytes: AtomicUsize,
    commands: Mutex<HashMap<CommandKey, Arc<Slot>>>,
    /// What is known of who can write where: one for each machine that is being built.
    censuses: Mutex<Vec<Census>>,
}

/// The content of a file and its metadata, once it was read. Whoever reads it holds the lock, and
/// the others wait for that.
pub(super) type FileSlot = Mutex<Option<(Secret, Stat)>>;

/// Two commands are one if these are equal: the words, the directory, and whether a newline is
/// dropped.
pub(super) type CommandKey = (Vec<OsString>, PathBuf, bool);

/// The outcome of a command, once it was run. Whoever runs it holds the lock, and the others wait
/// for that.
pub(super) type Slot = Mutex<Option<Result<Secret, Failure>>>;

impl Shared {
    /// The slot for the file at this path.
    pub(super) fn file(&self, path: &Path) -> Arc<FileSlot> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(files.entry(path.to_owned()).or_default())
    }

    /// Whether there is room to keep a file of this length; if so, the room is taken.
    pub(super) fn takes_file(&self, length_bytes: usize) -> bool {
        let before = self.kept_bytes.fetch_add(length_bytes, Ordering::Relaxed);
        before.saturating_add(length_bytes) <= FILES_MAX_BYTES
    }

    /// A census of who can write where: one that an earlier machine has left, or a new one. None
    /// where the caller is bound by permissions.
    pub(super) fn take_census(&self) -> Option<Census> {
        let mut censuses = self.censuses.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut census) = censuses.pop() else { return Census::of_privileged() };
        drop(censuses);
        census.look_again();
        Some(census)
    }

    /// Keeps the census for the next machine.
    pub(super) fn keep_census(&self, mut census: Census) {
        census.limit();
        self.censuses.lock().unwrap_or_else(PoisonError::into_inner).push(census);
    }

    /// The slot for this command.
    pub(super) fn command(&self, key: CommandKey) -> Arc<Slot> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(commands.entry(key).or_default())
    }
}

impl fmt::Debug for Shared {
    /// Shows nothing of what is kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}
