//! Files of a directory that are met ahead: where there are many, a thread opens and reads the
//! tiny ones while those before are added to the tree.
//!
//! Nothing is waited for and nothing is said of what cannot be opened: then the walk meets the
//! file itself.

use std::os::fd::OwnedFd;

use credimg_formats::ahead::{THREADS, work_ahead};
use credimg_formats::{Name, Secret};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};

use crate::host::at_rest::is_at_rest;
use crate::host::identity::size_bytes;
use crate::host::lease::{Hold, is_open_for_writing};
use crate::host::open::{OPEN, file_type};
use crate::report::Failure;
use crate::sources::builder::budget::TINY_FILE_MAX_BYTES;
use crate::sources::files::{self, Directory};

/// How many entries are met at a time.
const BATCH: usize = 64;
/// Starting a thread takes as long as meeting some twenty files.
const FEWEST: usize = 128;

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
    directory: &Directory,
    descriptor: &OwnedFd,
    add: impl FnOnce(&mut dyn FnMut() -> Option<Met>) -> T,
) -> T {
    if entries.len() < FEWEST {
        return add(&mut || None);
    }
    let meet = |batch: &[(Name, FileType)], _: Option<_>| {
        // Files of a directory resemble each other: behind one that is not tiny the next is
        // looked at before it is opened.
        let mut looks_first = false;
        let meet_one = |(name, kind): &(Name, FileType)| match kind {
            FileType::RegularFile => meet_file(directory, descriptor, name, &mut looks_first),
            FileType::Directory
            | FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => None,
        };
        batch.iter().map(meet_one).collect::<Vec<_>>()
    };
    work_ahead(THREADS, entries.chunks(BATCH), meet, |taker| {
        let mut batch = Vec::new().into_iter();
        add(&mut || {
            if batch.len() == 0 {
                batch = taker.next()?.into_iter();
            }
            batch.next()?
        })
    })
}

fn meet_file(
    directory: &Directory,
    descriptor: &OwnedFd,
    name: &Name,
    looks_first: &mut bool,
) -> Option<Met> {
    let is_tiny = |stat: &Stat| size_bytes(stat) <= TINY_FILE_MAX_BYTES;
    let is_regular = |stat: &Stat| file_type(stat) == FileType::RegularFile;
    if *looks_first {
        let stat = statat(descriptor, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        if !is_tiny(&stat) {
            return is_regular(&stat).then_some(Met { stat, content: None });
        }
    }
    let flags = OPEN | OFlags::NOFOLLOW;
    let file = openat(descriptor, name.as_bytes(), flags, Mode::empty()).ok()?;
    let stat = fstat(&file).ok().filter(is_regular)?;
    *looks_first = !is_tiny(&stat);
    let is_read =
        is_tiny(&stat) && is_at_rest(&stat) && !is_open_for_writing(&file, Hold::UntilClosed);
    let path = || files::child_path(&directory.path, name);
    let content = is_read.then(|| files::read_unchanged(&file, &stat, &path));
    Some(Met { stat, content })
}
