//! A file of the host that is opened early and copied later. It must not change between.

use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use credimg_formats::Sink;
use rustix::fs::Stat;

use super::at_rest::Watched;
use super::holes::copy_in_pieces;
use super::identity::{Identity, size_bytes};
use super::open::open_file;
use crate::report::{Exit, Failure, reason, shown};

/// A file whose content has to stay the same until it is copied.
pub struct Steady {
    path: PathBuf,
    file: File,
    stat: Stat,
    watched: Watched,
}

impl Steady {
    /// Opens the regular file at `path`, and waits until it is at rest. Errors are of exit code 4,
    /// and of 5 for a link that another user has planted.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let (file, stat) = open_file(path)?;
        let watched = Watched::begin(&file, &stat, path)?;
        Ok(Self { path: path.to_owned(), file, stat, watched })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn stat(&self) -> &Stat {
        &self.stat
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        size_bytes(&self.stat)
    }

    /// What identifies the file, and tells whether it has changed since it was opened.
    pub(crate) fn identity(&self) -> Identity {
        Identity::of(&self.stat)
    }

    /// The file, at its start. Only one reader at a time may use it.
    pub(crate) fn rewound(&self) -> Result<&File, Failure> {
        (&self.file).rewind().map_err(|error| self.unread(&error))?;
        Ok(&self.file)
    }

    /// Copies the whole file, within the kernel where that is possible. An error of the sink is
    /// returned as it is. If the file cannot be read, or has changed since it was opened, that is
    /// an error of exit code 4.
    pub(crate) fn copy_to(&self, sink: &mut dyn Sink) -> Result<(), Failure> {
        let file = self.rewound()?;
        let copied = copy_in_pieces(file, self.size_bytes(), sink).map_err(|error| {
            // Errors of sinks hold a failure, those of the file do not.
            Failure::inside(&error).cloned().unwrap_or_else(|| self.unread(&error))
        })?;
        self.watched.end_at(copied, &self.file, &self.path)
    }

    /// An error of exit code 4 where it has changed since it was opened.
    pub(crate) fn require_unchanged(&self) -> Result<(), Failure> {
        self.watched.end(&self.file, &self.path)
    }

    fn unread(&self, error: &io::Error) -> Failure {
        let message = format!("cannot read {}: {}", shown(&self.path), reason(error));
        Failure::new(Exit::Source, message)
    }
}

impl std::fmt::Debug for Steady {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Steady").field(&self.path).finish()
    }
}
