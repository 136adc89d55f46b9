//! Files that are met ahead: where a directory has many, or many subdirectories, a thread looks
//! at them, and reads the tiny ones, while those before are added to the tree.
//!
//! Nothing is waited for and nothing is said of what cannot be opened: then the walk meets the
//! file or the directory itself.

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::Path;

use credimg_formats::ahead::{THREADS, work_ahead};
use credimg_formats::{Buffer, Name, Secret};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};

use crate::host::at_rest::is_at_rest;
use crate::host::identity::size_bytes;
use crate::host::lease::{Hold, is_open_for_writing};
use crate::host::open::{OPEN, file_type};
use crate::report::Failure;
use crate::sources::builder::budget::TINY_FILE_MAX_BYTES;
use crate::sources::files;

use super::{Level, Listed, Opened, Subdirectory, list, open_subdirectory};

/// How many entries are met at a time.
const BATCH: usize = 64;
/// Starting a thread takes as long as meeting some twenty files.
const FEWEST: usize = 128;

/// From so many subdirectories on they are met ahead.
pub(super) const FEWEST_DIRECTORIES: usize = 8;

/// A regular file that was met.
pub(super) struct Met {
    pub(super) stat: Stat,
    /// What a tiny one holds; none where it is not at rest, or open for writing.
    pub(super) content: Option<Result<Secret, Failure>>,
}

/// Calls `add` with a function that returns of each entry in turn the file that was met ahead, or
/// none.
pub(super) fn with_files_met<T>(
    entries: &[(Name, FileType)],
    directory: &Path,
    descriptor: &OwnedFd,
    add: impl FnOnce(&mut dyn FnMut() -> Option<Met>) -> T,
) -> T {
    if entries.len() < FEWEST {
        return add(&mut || None);
    }
    let meet = |entries: &[(Name, FileType)], spare: Option<Batch>| {
        let mut batch = spare.unwrap_or_default();
        batch.meet(entries, directory, descriptor);
        batch
    };
    work_ahead(THREADS, entries.chunks(BATCH), meet, |taker| {
        let mut batch = Batch::default();
        add(&mut || {
            if batch.is_used_up() {
                taker.give_back(std::mem::replace(&mut batch, taker.next()?));
            }
            batch.next()
        })
    })
}

/// Calls `add` with a function that returns of each of the subdirectories of `level` in turn what
/// was met ahead, or none.
pub(super) fn with_directories_met<T>(
    level: &Level,
    subdirectories: &[Subdirectory],
    add: impl FnOnce(&mut dyn FnMut() -> Option<Opened>) -> T,
) -> T {
    let meet = |subdirectory: &Subdirectory, _: Option<Option<Opened>>| {
        let mut opened = open_subdirectory(level, subdirectory).ok()?;
        if is_at_rest(&opened.stat) {
            let path = level.path(&subdirectory.name);
            // Where that fails the directory is opened again: this descriptor has been read.
            opened.listed = Some(meet_directory(&path, &opened.descriptor)?);
        }
        Some(opened)
    };
    work_ahead(THREADS, subdirectories.iter(), meet, |taker| add(&mut || taker.next().flatten()))
}

fn meet_directory(path: &Path, descriptor: &OwnedFd) -> Option<Listed> {
    let entries = list(path, descriptor, &mut Vec::new()).ok()?;
    // Those of a larger one are met when its turn comes.
    let met = (entries.len() < FEWEST).then(|| {
        let mut batch = Batch::default();
        batch.meet(&entries, path, descriptor);
        batch
    });
    Some(Listed { entries, met })
}

/// Entries that were met together. Whoever takes them allocates what is kept: two threads that
/// do so all the time wait for each other.
#[derive(Default)]
pub(super) struct Batch {
    found: Vec<Option<Found>>,
    /// How many of them were taken.
    taken: usize,
    /// Room for what tiny files hold, one behind the other; none before there is one.
    bytes: Buffer,
    /// How much room there is to be.
    room_bytes: usize,
}

/// A regular file that was met, and where in the batch's bytes stands what it holds.
struct Found {
    stat: Stat,
    content: Option<Result<Range<usize>, Failure>>,
}

impl Batch {
    fn is_used_up(&self) -> bool {
        self.taken == self.found.len()
    }

    /// What became of the next entry.
    pub(super) fn next(&mut self) -> Option<Met> {
        let found = self.found.get_mut(self.taken)?.take();
        self.taken += 1;
        let Found { stat, content } = found?;
        let content = match content {
            // Of a range that is not there, the file itself is read.
            Some(Ok(range)) => self.bytes.get(range).map(|bytes| Ok(Secret::from(bytes))),
            Some(Err(failure)) => Some(Err(failure)),
            None => None,
        };
        Some(Met { stat, content })
    }

    fn meet(&mut self, entries: &[(Name, FileType)], directory: &Path, descriptor: &OwnedFd) {
        self.found.clear();
        self.taken = 0;
        // For the longest that are tiny, and a byte behind each: see `room_for`.
        let longest = usize::try_from(TINY_FILE_MAX_BYTES).unwrap_or_default();
        self.room_bytes = entries.len() * (longest + 1);
        let mut filled = 0;
        // Files of a directory resemble each other: behind one that is not tiny the next is
        // looked at before it is opened.
        let mut looks_first = false;
        for (name, kind) in entries {
            let found = match kind {
                FileType::RegularFile => {
                    self.meet_file(directory, descriptor, name, &mut looks_first, filled)
                }
                FileType::Directory
                | FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => None,
            };
            if let Some(Found { content: Some(Ok(range)), .. }) = &found {
                filled = range.end;
            }
            self.found.push(found);
        }
    }

    /// Meets a file; what a tiny one holds goes behind the `filled` ones of the batch's bytes.
    fn meet_file(
        &mut self,
        directory: &Path,
        descriptor: &OwnedFd,
        name: &Name,
        looks_first: &mut bool,
        filled: usize,
    ) -> Option<Found> {
        let is_tiny = |stat: &Stat| size_bytes(stat) <= TINY_FILE_MAX_BYTES;
        let is_regular = |stat: &Stat| file_type(stat) == FileType::RegularFile;
        if *looks_first {
            let stat = statat(descriptor, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
            if !is_tiny(&stat) {
                return is_regular(&stat).then_some(Found { stat, content: None });
            }
        }
        let flags = OPEN | OFlags::NOFOLLOW;
        let file = openat(descriptor, name.as_bytes(), flags, Mode::empty()).ok()?;
        let stat = fstat(&file).ok().filter(is_regular)?;
        *looks_first = !is_tiny(&stat);
        let is_read =
            is_tiny(&stat) && is_at_rest(&stat) && !is_open_for_writing(&file, Hold::UntilClosed);
        let path = || files::child_path(directory, name);
        let room = filled..filled + files::room_for(&stat);
        let window = if is_read { self.window(room.clone()) } else { None };
        let content = window.map(|window| {
            files::read_unchanged_to(window, &file, &stat, &path)?;
            Ok(room.start..room.end - 1)
        });
        Some(Found { stat, content })
    }

    fn window(&mut self, room: Range<usize>) -> Option<&mut [u8]> {
        if self.bytes.len() < self.room_bytes {
            self.bytes = Buffer::zeroed(self.room_bytes);
        }
        self.bytes.get_mut(room)
    }
}
