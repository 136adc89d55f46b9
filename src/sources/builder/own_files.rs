//! Where the image will lie, and what is no source of it.

use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use crate::host::identity;
use crate::report::{Exit, Failure, shown};

/// Where the image will lie, as device and inode numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnFiles {
    /// Its directory; none where the image is streamed.
    pub directory: Option<(u64, u64)>,
    /// The file that it replaces, if there is one.
    pub file: Option<(u64, u64)>,
    /// The files beside it that a build replaces or removes with it.
    pub sidecars: Vec<(u64, u64)>,
    /// The files of keys.
    pub keys: Vec<(u64, u64)>,
}

impl OwnFiles {
    /// An error where the file or directory at `path` is a part of the output: the image
    /// would take itself in or destroy it, or hold a key.
    pub(super) fn refuse(&self, path: &Path, stat: &Stat) -> Result<(), Failure> {
        let id = Some(identity::file_id(stat));
        let message = if id == self.directory {
            format!("the image would lie in {}, and the next one hold it", shown(path))
        } else if id == self.file {
            format!("the image would replace its own source {}", shown(path))
        } else if id.is_some_and(|id| self.sidecars.contains(&id)) {
            let path = shown(path);
            format!("its source {path} has the name of a file that comes and goes with the image")
        } else {
            return self.refuse_key(|| path.to_owned(), stat);
        };
        Err(Failure::new(Exit::Source, message).hint("write the image to another directory"))
    }

    /// An error where the file is a key of the image: it opens this one or others.
    pub(super) fn refuse_key(
        &self,
        path: impl FnOnce() -> PathBuf,
        stat: &Stat,
    ) -> Result<(), Failure> {
        // As a rule there is no key.
        if !self.keys.contains(&identity::file_id(stat)) {
            return Ok(());
        }
        let message = format!("its source {} is a key, which no guest is to have", shown(&path()));
        Err(Failure::new(Exit::Source, message).hint("put it into another directory"))
    }
}
