//! The output path: its directory, its name, and what lies at a name.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, SeekFrom, Stat, linkat, renameat,
    renameat_with, statat,
};
use rustix::io::{Errno, retry_on_intr};

use super::Subject;
use crate::host::listing;
use crate::report::{self, Exit, Failure};

/// The directory entry that the image becomes.
pub(super) struct OutputName {
    pub(super) entry: Entry,
    pub(super) subject: Subject,
    /// What was at the name when the target was opened.
    old: Option<Id>,
    /// The private directory of its temporaries, once it was needed.
    pub(super) private: RefCell<Option<Rc<Folder>>>,
}

/// A directory that is held open.
pub(super) struct Folder {
    pub(super) fd: OwnedFd,
    /// Where it is, for messages.
    pub(super) path: PathBuf,
}

/// A name in a directory that is held open.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) folder: Rc<Folder>,
    pub(super) name: OsString,
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

impl From<&Metadata> for Id {
    fn from(found: &Metadata) -> Self {
        Self(found.dev(), found.ino())
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
        let path = path.parent().unwrap_or(Path::new("")).to_owned();
        let folder = Rc::new(Folder { fd: directory, path });
        let entry = Entry { folder, name: name.to_owned() };
        let old = replaceable(&subject, &entry)?;
        if old.is_some() {
            subject.hint = Some("the old image is unchanged");
        }
        Ok(Self { entry, subject, old, private: RefCell::default() })
    }

    /// The directory.
    pub(super) fn folder(&self) -> &Rc<Folder> {
        &self.entry.folder
    }

    /// Another name in the directory.
    pub(super) fn beside(&self, name: OsString) -> Entry {
        Entry { folder: Rc::clone(self.folder()), name }
    }

    /// What is at the target's name, which `file` was to take.
    pub(super) fn there(&self, file: Id) -> Result<There, Errno> {
        let found = self.entry.stat()?.map(|found| Id::from(&found));
        Ok(if found == Some(file) {
            There::New
        } else if found == self.old {
            There::Old
        } else {
            There::Other
        })
    }
}

impl Folder {
    /// A directory in this one, opened as `fd`.
    pub(super) fn child(&self, name: &OsStr, fd: OwnedFd) -> Self {
        Self { fd, path: self.path.join(name) }
    }

    /// Calls `visit` with the name and the kind of every entry.
    pub(super) fn visit(&self, visit: impl FnMut(&OsStr, FileType)) -> Result<(), Errno> {
        // Reading begins at the first entry, also where the directory was read before.
        rustix::fs::seek(&self.fd, SeekFrom::Start(0))?;
        listing::visit(&self.fd, visit)
    }
}

impl Entry {
    /// The name as messages call it.
    pub(super) fn shown(&self) -> String {
        report::shown(&self.folder.path.join(&self.name))
    }

    /// What has this name; a symbolic link counts for itself.
    pub(super) fn stat(&self) -> Result<Option<Stat>, Errno> {
        match statat(&self.folder.fd, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Opens what has this name, never what a link leads to.
    pub(super) fn open(&self, flags: OFlags, mode: Mode) -> Result<File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.folder.fd, &self.name, flags, mode).map(File::from)
    }

    /// Whether the name leads to this very file. What reports an error may be done all
    /// the same, on network file systems for one.
    pub(super) fn leads_to(&self, file: Id) -> Result<bool, Errno> {
        Ok(self.stat()?.map(|found| Id::from(&found)) == Some(file))
    }

    /// Gives what has this name the other name, from whatever has that.
    pub(super) fn rename(&self, to: &Self) -> Result<(), Errno> {
        renameat(&self.folder.fd, &self.name, &to.folder.fd, &to.name)
    }

    /// Renames with flags, such as to exchange two names.
    pub(super) fn rename_with(&self, to: &Self, flags: RenameFlags) -> Result<(), Errno> {
        renameat_with(&self.folder.fd, &self.name, &to.folder.fd, &to.name, flags)
    }

    /// Gives what has this name a second one.
    pub(super) fn link(&self, second: &Self) -> Result<(), Errno> {
        let (folder, name) = (&second.folder.fd, &second.name);
        linkat(&self.folder.fd, &self.name, folder, name, AtFlags::empty())
    }

    /// Removes the name. An error counts only where something still has that name.
    pub(super) fn unlink(&self) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.folder.fd, &self.name, AtFlags::empty()) {
            Err(error) if !matches!(self.stat(), Ok(None)) => Err(error),
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

/// What has the name, if anything; an error where it is nothing to be replaced.
pub(super) fn replaceable(subject: &Subject, name: &Entry) -> Result<Option<Id>, Failure> {
    match name.stat().map_err(|error| subject.failure("write", error))? {
        None => Ok(None),
        Some(stat) => {
            refuse_type(subject, FileType::from_raw_mode(stat.st_mode))?;
            refuse_descriptor(subject, name, stat.st_mode)?;
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
fn refuse_descriptor(subject: &Subject, name: &Entry, mode: u32) -> Result<(), Failure> {
    if FileType::from_raw_mode(mode) != FileType::Symlink {
        return Ok(());
    }
    let Entry { folder, name } = name;
    let link = rustix::fs::readlinkat(&folder.fd, name, Vec::new())
        .map_err(|error| subject.failure("write", error))?;
    // `/dev/fd` leads to the directory of the links themselves.
    let is_proc = rustix::fs::fstatfs(&folder.fd)
        .is_ok_and(|found| found.f_type == rustix::fs::PROC_SUPER_MAGIC);
    if is_proc || link.to_bytes().starts_with(b"/proc/") {
        return Err(subject
            .refusal("write", "it stands for an open descriptor")
            .hint("`-o -` writes to standard output"));
    }
    Ok(())
}
