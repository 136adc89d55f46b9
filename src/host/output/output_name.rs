//! The output path: its directory, its name, and what lies at a name.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, SeekFrom, Stat, statat};
use rustix::io::{Errno, retry_on_intr};

use super::Subject;
use crate::host::listing;
use crate::report::{self, Exit, Failure};

/// The directory entry that the image becomes.
pub(super) struct OutputName {
    pub(super) directory: OwnedFd,
    pub(super) name: OsString,
    pub(super) subject: Subject,
    /// The directory, for messages.
    parent: PathBuf,
    /// What was at the name when the target was opened.
    old: Option<Id>,
}

/// Tells a file from every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u64, u64);

/// What is found at a name that a file was to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    /// The file itself.
    New,
    /// What was there when the target was opened, or nothing if nothing was.
    Old,
    /// Something that somebody else has put there, or nothing where something was.
    Other,
}

impl From<&Stat> for Id {
    fn from(stat: &Stat) -> Self {
        Self(stat.st_dev, stat.st_ino)
    }
}

impl OutputName {
    /// Opens the directory and refuses a name that no image can take.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let mut subject = Subject { shown: report::shown(path), hint: None };
        let (parent, name) = split(path);
        if matches!(name.as_bytes(), b"" | b"." | b"..") {
            return Err(subject.refusal("write", "it names a directory, not a file"));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = retry_on_intr(|| rustix::fs::openat(CWD, parent, flags, Mode::empty()))
            .map_err(|error| {
                let reason = report::reason(&error.into());
                let message = format!(
                    "cannot write {}: cannot open the directory {}: {reason}",
                    subject.shown,
                    report::shown(Path::new(parent))
                );
                Failure::new(Exit::Output, message)
                    .hint("the directory must exist, and be readable and writable")
            })?;
        let old = replaceable(&subject, &directory, name)?;
        if old.is_some() {
            subject.hint = Some("the old image is unchanged");
        }
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { directory, name: name.to_owned(), subject, parent, old })
    }

    /// A name in the directory, as messages call it.
    pub(super) fn shown(&self, name: &OsStr) -> String {
        report::shown(&self.parent.join(name))
    }

    /// What has this name; a symbolic link counts for itself.
    pub(super) fn at(&self, name: &OsStr) -> Result<Option<Stat>, Errno> {
        match statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Whether the name leads to this very file. What reports an error may be done all
    /// the same, on network file systems for one.
    pub(super) fn leads_to(&self, name: &OsStr, file: Id) -> Result<bool, Errno> {
        Ok(self.at(name)?.map(|found| Id::from(&found)) == Some(file))
    }

    /// What is at the target's name, which `file` was to take.
    pub(super) fn there(&self, file: Id) -> Result<There, Errno> {
        let found = self.at(&self.name)?.map(|found| Id::from(&found));
        Ok(if found == Some(file) {
            There::New
        } else if found == self.old {
            There::Old
        } else {
            There::Other
        })
    }

    /// Calls `visit` with the name and the kind of every entry of the directory.
    pub(super) fn visit(&self, visit: impl FnMut(&OsStr, FileType)) -> Result<(), Errno> {
        // Reading begins at the first entry, also where the directory was read before.
        rustix::fs::seek(&self.directory, SeekFrom::Start(0))?;
        listing::visit(&self.directory, visit)
    }

    /// Removes a name. An error counts only where something still has that name.
    pub(super) fn unlink(&self, name: &OsStr) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()) {
            Err(error) if !matches!(self.at(name), Ok(None)) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Directory and name, at the last slash and as they stand: `Path` would take
/// `a/` and `a/.` for `a`.
fn split(path: &Path) -> (&OsStr, &OsStr) {
    let bytes = path.as_os_str().as_bytes();
    let (parent, name) = match bytes.iter().rposition(|byte| *byte == b'/') {
        None => (&b"."[..], bytes),
        Some(at) => bytes.split_at(at + 1),
    };
    (OsStr::from_bytes(parent), OsStr::from_bytes(name))
}

/// What is at `name`, if anything; an error where it is nothing to be replaced.
pub(super) fn replaceable(
    subject: &Subject,
    directory: &OwnedFd,
    name: &OsStr,
) -> Result<Option<Id>, Failure> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(subject.failure("write", error)),
        Ok(stat) => {
            refuse_type(subject, FileType::from_raw_mode(stat.st_mode))?;
            refuse_descriptor(subject, directory, name, stat.st_mode)?;
            Ok(Some(Id::from(&stat)))
        }
    }
}

fn refuse_type(subject: &Subject, kind: FileType) -> Result<(), Failure> {
    let what = match kind {
        FileType::RegularFile | FileType::Symlink => return Ok(()),
        FileType::Directory => "it is a directory",
        FileType::Fifo => "it is a FIFO",
        FileType::Socket => "it is a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "it is a device",
        FileType::Unknown => "it is not a regular file",
    };
    Err(subject
        .refusal("write", what)
        .hint("a regular file or a symbolic link is replaced, nothing else"))
}

/// Refuses links to a process's own descriptors: root, who may replace
/// `/dev/stdout`, would break it for the whole machine.
fn refuse_descriptor(
    subject: &Subject,
    directory: &OwnedFd,
    name: &OsStr,
    mode: u32,
) -> Result<(), Failure> {
    if FileType::from_raw_mode(mode) != FileType::Symlink {
        return Ok(());
    }
    let link = rustix::fs::readlinkat(directory, name, Vec::new())
        .map_err(|error| subject.failure("write", error))?;
    // `/dev/fd` leads to the directory of the links themselves.
    let is_proc = rustix::fs::fstatfs(directory)
        .is_ok_and(|found| found.f_type == rustix::fs::PROC_SUPER_MAGIC);
    if is_proc || link.to_bytes().starts_with(b"/proc/") {
        return Err(subject
            .refusal("write", "it stands for an open descriptor")
            .hint("`-o -` writes to standard output"));
    }
    Ok(())
}
