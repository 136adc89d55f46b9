//! The files that may not be sources: those that the run itself replaces or removes, and its keys.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use crate::delivery::sidecar;
use crate::host::identity::{self, FileId};
use crate::host::output;
use crate::report::{Exit, Failure, shown};

/// The files that a run replaces or removes, and those of its keys.
///
/// Names and numbers of files are compared. A name counts even if it is that of a link, as the run
/// replaces the link. A number finds the same file under another name: by a link, a hard link or a
/// mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnFiles {
    /// The image; none where it is streamed or stays in memory.
    pub image: Option<Replaced>,
    /// Other files that are replaced, such as a report.
    pub others: Vec<Replaced>,
    /// The files beside the image that a build replaces or removes with it.
    pub sidecars: Vec<FileId>,
    /// The files of keys.
    pub keys: Vec<FileId>,
}

/// A file that a run replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// What messages call it.
    pub what: &'static str,
    /// Its name in its directory.
    pub name: OsString,
    /// Its directory; none where it does not exist.
    pub directory: Option<FileId>,
    /// What lies there, itself where it is a link; none where nothing does.
    pub file: Option<FileId>,
}

impl OwnFiles {
    /// An error where the file or directory at `path` may not be a source: the run would replace or
    /// remove it or something in it, or it is a key.
    pub(super) fn refuse(&self, path: &Path, stat: &Stat) -> Result<(), Failure> {
        self.refuse_name(path)?;
        let id = identity::file_id(stat);
        if let Some(replaced) = self.replaced().find(|replaced| replaced.file == Some(id)) {
            return Err(replaced.refusal(path));
        }
        if self.sidecars.contains(&id) {
            return Err(is_beside(path));
        }
        self.refuse_directory(path, stat)?;
        self.refuse_key(|| path.to_owned(), stat)
    }

    /// An error where the run writes a file into the directory at `path`: the next run would store
    /// that file in its image, and replace it.
    pub(super) fn refuse_directory(&self, path: &Path, stat: &Stat) -> Result<(), Failure> {
        let id = Some(identity::file_id(stat));
        let Some(Replaced { what, .. }) = self.replaced().find(|replaced| replaced.directory == id)
        else {
            return Ok(());
        };
        let message = format!("the {what} would lie in {}, which is a source", shown(path));
        let hint = format!("write the {what} to another directory");
        Err(Failure::new(Exit::Usage, message).hint(hint))
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

    /// An error where the run replaces or removes whatever is called `path`. Only the last names are
    /// compared at first; where they are equal, the directories are looked at, never the file.
    pub(crate) fn refuse_name(&self, path: &Path) -> Result<(), Failure> {
        if let Some(replaced) = self.replaced().find(|replaced| replaced.is_at(path)) {
            return Err(replaced.refusal(path));
        }
        if self.is_beside_image(path) { Err(is_beside(path)) } else { Ok(()) }
    }

    /// Whether `path` is the name of a file that may come and go with the image, such as
    /// `IMAGE.smbios`, or of a temporary, and lies in the image's directory.
    pub(crate) fn is_beside_image(&self, path: &Path) -> bool {
        let Some((image, name)) = self.image.as_ref().zip(path.file_name()) else { return false };
        let suffix = name.as_bytes().strip_prefix(image.name.as_bytes());
        let suffix = suffix.and_then(|suffix| suffix.strip_prefix(b"."));
        let is_own =
            suffix.is_some_and(sidecar::is_own) || output::is_temporary_name(name, &image.name);
        is_own && image.is_in_directory_of(path)
    }

    fn replaced(&self) -> impl Iterator<Item = &Replaced> {
        self.image.iter().chain(&self.others)
    }
}

impl Replaced {
    /// Whether `path` names the place where this file will be.
    fn is_at(&self, path: &Path) -> bool {
        path.file_name() == Some(&self.name) && self.is_in_directory_of(path)
    }

    fn is_in_directory_of(&self, path: &Path) -> bool {
        self.directory.is_some() && self.directory == directory_of(path)
    }

    fn refusal(&self, path: &Path) -> Failure {
        let Self { what, .. } = self;
        let message = format!("the {what} would replace the source {}", shown(path));
        Failure::new(Exit::Usage, message).hint(format!("write the {what} to another directory"))
    }
}

/// The failure of a source that a build would replace or remove with its image.
fn is_beside(path: &Path) -> Failure {
    let path = shown(path);
    let message =
        format!("its source {path} has the name of a file that comes and goes with the image");
    Failure::new(Exit::Usage, message).hint("write the image to another directory")
}

/// The directory that a file lies in, or will lie in.
pub(crate) fn directory_of(path: &Path) -> Option<FileId> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let found = std::fs::metadata(parent.unwrap_or(Path::new("."))).ok()?;
    Some((found.dev(), found.ino()))
}
