//! What the manifest of a fleet shares among machines: in one run it is read, or run, once.
//!
//! Invariant: of sources nothing is kept here but what `shared: true` says of, so that no secret of
//! one machine outlives its build.

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

/// What one machine has read and others may have.
#[derive(Default)]
pub struct Shared {
    files: Mutex<HashMap<PathBuf, Arc<FileSlot>>>,
    kept_bytes: AtomicUsize,
    commands: Mutex<HashMap<CommandKey, Arc<Slot>>>,
    /// What is known of who can write where: one of each machine that is built at a time.
    censuses: Mutex<Vec<Census>>,
}

/// What a file held when it was read, and what it was. Whoever reads it holds the lock, for which
/// the others wait.
pub(super) type FileSlot = Mutex<Option<(Secret, Stat)>>;

/// What tells one command from another: its words, its directory, and whether a newline is dropped.
pub(super) type CommandKey = (Vec<OsString>, PathBuf, bool);

/// What came of a command. Whoever runs it holds the lock, for which the others wait.
pub(super) type Slot = Mutex<Option<Result<Secret, Failure>>>;

impl Shared {
    /// The place for what the file at this path holds.
    pub(super) fn file(&self, path: &Path) -> Arc<FileSlot> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(files.entry(path.to_owned()).or_default())
    }

    /// Whether there is room for a file of so many bytes, which then is taken.
    pub(super) fn takes_file(&self, length_bytes: usize) -> bool {
        let before = self.kept_bytes.fetch_add(length_bytes, Ordering::Relaxed);
        before.saturating_add(length_bytes) <= FILES_MAX_BYTES
    }

    /// What an earlier machine has found out of who can write where, or a new one; none where the
    /// caller is bound by permissions.
    pub(super) fn take_census(&self) -> Option<Census> {
        let mut censuses = self.censuses.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut census) = censuses.pop() else { return Census::of_privileged() };
        drop(censuses);
        census.look_again();
        Some(census)
    }

    /// Keeps it for the next machine.
    pub(super) fn keep_census(&self, mut census: Census) {
        census.limit();
        self.censuses.lock().unwrap_or_else(PoisonError::into_inner).push(census);
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
