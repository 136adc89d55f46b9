//! The directories that were entered, and the way into each: by their names, one at a time,
//! from the first one on.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, fstat, openat};
use rustix::io::{Errno, retry_on_intr};

use super::{DIRECTORY, changed};
use crate::host::output::output_name::Id;
use crate::report::{Failure, shown};

/// Most directories that are held open: images nest deeper than a process may open files.
const HELD_MAX: usize = 64;

/// A directory that was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectoryId(usize);

impl DirectoryId {
    /// The directory that is filled.
    pub const BASE: Self = Self(0);
}

pub(super) struct Directories {
    base: OwnedFd,
    path: PathBuf,
    /// All but the base: the first one has number 1.
    entered: Vec<Entered>,
    /// The innermost of those on the way to the last one that was asked for.
    held: VecDeque<(usize, OwnedFd)>,
}

struct Entered {
    parent: usize,
    name: OsString,
    id: Id,
}

impl Directories {
    pub(super) fn new(base: OwnedFd, path: PathBuf) -> Self {
        Self { base, path, entered: Vec::new(), held: VecDeque::new() }
    }

    /// Notes a directory that was opened in `parent`, which was entered last.
    pub(super) fn add(
        &mut self,
        parent: DirectoryId,
        name: &OsStr,
        opened: OwnedFd,
    ) -> Result<DirectoryId, Errno> {
        let id = Id::from(&fstat(&opened)?);
        self.entered.push(Entered { parent: parent.0, name: name.to_owned(), id });
        let number = self.entered.len();
        self.hold(number, opened);
        Ok(DirectoryId(number))
    }

    fn hold(&mut self, number: usize, opened: OwnedFd) {
        if self.held.len() >= HELD_MAX {
            self.held.pop_front();
        }
        self.held.push_back((number, opened));
    }

    /// Opens a directory again, if need be. It is an error where another one is in its place.
    pub(super) fn enter(&mut self, directory: DirectoryId) -> Result<BorrowedFd<'_>, Failure> {
        let mut way = Vec::new();
        let mut next = directory.0;
        while let Some(entered) = self.entered(next) {
            if let Some(place) = self.held.iter().rposition(|(number, _)| *number == next) {
                self.held.truncate(place + 1);
                break;
            }
            way.push(next);
            next = entered.parent;
        }
        if next == 0 {
            self.held.clear();
        }
        for number in way.into_iter().rev() {
            let opened = self.open(number)?;
            self.hold(number, opened);
        }
        Ok(self.last())
    }

    fn last(&self) -> BorrowedFd<'_> {
        self.held.back().map_or(self.base.as_fd(), |(_, opened)| opened.as_fd())
    }

    /// Opens one by its name in the directory that is held last, its parent.
    fn open(&self, number: usize) -> Result<OwnedFd, Failure> {
        let shown = || self.shown_directory(DirectoryId(number));
        let Some(Entered { name, id, .. }) = self.entered(number) else {
            return Err(Failure::bug(": a directory that was not entered"));
        };
        let opened = retry_on_intr(|| openat(self.last(), name, DIRECTORY, Mode::empty()));
        let opened = opened.and_then(|opened| Ok((fstat(&opened)?, opened)));
        match opened {
            Ok((seen, opened)) if Id::from(&seen) == *id => Ok(opened),
            Ok(_) | Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => Err(changed(&shown())),
            Err(errno) => Err(super::failure("open the directory", &shown(), errno)),
        }
    }

    /// An error where one of them is somewhere else by now.
    pub(super) fn look_again(&mut self) -> Result<(), Failure> {
        self.held.clear();
        for number in (1..=self.entered.len()).rev() {
            self.enter(DirectoryId(number))?;
        }
        Ok(())
    }

    fn entered(&self, number: usize) -> Option<&Entered> {
        self.entered.get(number.checked_sub(1)?)
    }

    /// The path of an entry of a directory, for messages.
    pub(super) fn shown(&self, parent: DirectoryId, name: &OsStr) -> String {
        shown(&self.path_of(parent).join(name))
    }

    /// The path of a directory, for messages.
    pub(super) fn shown_directory(&self, directory: DirectoryId) -> String {
        shown(&self.path_of(directory))
    }

    fn path_of(&self, directory: DirectoryId) -> PathBuf {
        let mut names = Vec::new();
        let mut next = directory.0;
        while let Some(Entered { parent, name, .. }) = self.entered(next) {
            names.push(name);
            next = *parent;
        }
        let mut path = self.path.clone();
        path.extend(names.into_iter().rev());
        path
    }
}
