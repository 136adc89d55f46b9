//! The files and directories of the host that an image is made of.

use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use super::OwnFiles;
use crate::host::trust::Exchangeable;
use crate::report::Failure;

/// What is asked of every input, and what is noted of it.
pub(crate) struct Inputs {
    /// Which files must not be inputs.
    own_files: OwnFiles,
    /// What another user can exchange, where that counts.
    exchangeable: Option<Exchangeable>,
    /// Their paths, where anybody wants to know them.
    noted: Option<Vec<PathBuf>>,
}

impl Inputs {
    pub(super) fn new(
        own_files: OwnFiles,
        exchangeable: Option<Exchangeable>,
        is_noted: bool,
    ) -> Self {
        Self { own_files, exchangeable, noted: is_noted.then(Vec::new) }
    }

    /// Notes a file or directory of the host that is read.
    pub(crate) fn note(&mut self, path: impl FnOnce() -> PathBuf) {
        if let Some(noted) = &mut self.noted {
            noted.push(path());
        }
    }

    /// Takes an input, unless the run would take in or destroy what it writes itself.
    pub(crate) fn take(&mut self, path: &Path, stat: &Stat) -> Result<(), Failure> {
        self.note(|| path.to_owned());
        if let Some(exchangeable) = &mut self.exchangeable {
            exchangeable.look_at(path);
        }
        self.own_files.refuse(path, stat)
    }

    /// Takes a directory in one that is an input, itself no link, as [`take`](Self::take) does:
    /// what is above it was looked at.
    pub(crate) fn take_directory(&mut self, path: &Path, stat: &Stat) -> Result<(), Failure> {
        self.note(|| path.to_owned());
        if let Some(exchangeable) = &mut self.exchangeable {
            exchangeable.look_at_directory(path, stat);
        }
        self.own_files.refuse_directory(path, stat)
    }

    /// Takes a file of a directory that is an input, unless the file is a key.
    pub(crate) fn take_file(
        &mut self,
        path: impl Fn() -> PathBuf,
        stat: &Stat,
    ) -> Result<(), Failure> {
        self.note(&path);
        if let Some(exchangeable) = &mut self.exchangeable {
            exchangeable.look_at_entry(&path, stat);
        }
        self.own_files.refuse_key(&path, stat)
    }

    /// What people should know of inputs that another user can exchange.
    pub(crate) fn warning(&self) -> Option<String> {
        self.exchangeable.as_ref().and_then(Exchangeable::message)
    }

    /// The inputs in the order in which they were met, none where nobody wants to know them; and
    /// what is known of those that another user can exchange.
    pub(super) fn into_parts(self) -> (Vec<PathBuf>, Option<Exchangeable>) {
        (self.noted.unwrap_or_default(), self.exchangeable)
    }
}
