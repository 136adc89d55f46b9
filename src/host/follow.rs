//! Opening what may lie behind symbolic links, but behind none that another user has planted:
//! in a directory where everybody can write, only links of the caller and of the directory's
//! owner are followed. It is the rule of Linux' `fs.protected_symlinks`, which hosts can
//! switch off, at every component of the path.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat, fstat, fstatfs, openat,
    openat2, readlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::report::{Exit, Failure, shown};

/// Most links on the way to a file, as for Linux (`MAXSYMLINKS`).
pub(super) const LINKS_MAX: usize = 40;

const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why a file is not opened.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The system says so.
    System(Errno),
    /// A link on the way is another user's: a failure of exit code 5.
    Planted(Failure),
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

impl Refusal {
    /// The failure for a planted link, or `otherwise` of what the system says.
    pub(crate) fn into_failure(self, otherwise: impl FnOnce(Errno) -> Failure) -> Failure {
        match self {
            Self::System(errno) => otherwise(errno),
            Self::Planted(failure) => failure,
        }
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::System(errno) => errno.into(),
            Refusal::Planted(failure) => failure.into(),
        }
    }
}

fn planted(link: &Path, uid: u32) -> Refusal {
    let message = format!(
        "{} is a symbolic link of another user (uid {uid}), in a directory where everybody can \
         write",
        shown(link)
    );
    let hint = "name the file that is meant, or make the link yourself";
    Refusal::Planted(Failure::new(Exit::Policy, message).hint(hint))
}

/// Opens what is at `path`, links followed. Where there is none on the way, as a rule, this is
/// one system call.
pub(crate) fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Refusal> {
    open_at((CWD, Path::new("")), path, flags)
}

/// Opens what is at `path` from a directory on, which messages call as its path says.
pub(crate) fn open_at(
    (base, shown): (BorrowedFd, &Path),
    path: &Path,
    flags: OFlags,
) -> Result<OwnedFd, Refusal> {
    if !crate::host::KEEPS_PROMISES {
        return Ok(openat(base, path, flags, Mode::empty())?);
    }
    match openat2(base, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // A link, one that Linux itself does not follow, and what Linux before 5.6 and some
        // sandboxes say.
        Err(Errno::LOOP | Errno::ACCESS | Errno::NOSYS | Errno::PERM) => {
            let rest = Vec::new();
            Walk { base, here: None, shown: shown.to_owned(), rest, links: 0 }.open(path, flags)
        }
        opened => Ok(opened?),
    }
}

/// The failure to follow `path` with the system's own functions: a planted link is told where
/// that is the reason.
pub(crate) fn explain(
    path: &Path,
    errno: Errno,
    otherwise: impl FnOnce(Errno) -> Failure,
) -> Failure {
    // What Linux says to whom it does not let follow a link.
    if errno == Errno::ACCESS
        && let Err(Refusal::Planted(failure)) = open(path, OFlags::PATH | OFlags::CLOEXEC)
    {
        return failure;
    }
    otherwise(errno)
}

/// How far a path has been followed.
struct Walk<'a> {
    base: BorrowedFd<'a>,
    /// The directory that was reached; none for the base.
    here: Option<OwnedFd>,
    /// Its path, for messages.
    shown: PathBuf,
    /// The names that follow, the next one last.
    rest: Vec<OsString>,
    links: usize,
}

impl Walk<'_> {
    /// Opens `path` component by component: what was judged is what is followed.
    fn open(mut self, path: &Path, flags: OFlags) -> Result<OwnedFd, Refusal> {
        self.push(path);
        while let Some(name) = self.rest.pop() {
            if name == "/" {
                self.here = Some(openat(CWD, "/", PLACE, Mode::empty())?);
                self.shown = PathBuf::from("/");
                continue;
            }
            let place = self.entry(&name, PLACE)?;
            let stat = fstat(&place)?;
            let is_last = self.rest.is_empty();
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                if is_last {
                    return Ok(self.entry(&name, flags | OFlags::NOFOLLOW)?);
                }
                self.enter(&name, place);
                continue;
            }
            self.links += 1;
            if self.links > LINKS_MAX {
                return Err(Errno::LOOP.into());
            }
            self.judge(&name, &stat)?;
            if fstatfs(&place)?.f_type != PROC_SUPER_MAGIC {
                let target = readlinkat(&place, "", Vec::new())?;
                self.push(Path::new(OsStr::from_bytes(target.as_bytes())));
            } else if is_last {
                // The kernel has made it, and it may lead to what has no name.
                return Ok(self.entry(&name, flags)?);
            } else {
                self.enter(&name, self.entry(&name, OFlags::PATH | OFlags::CLOEXEC)?);
            }
        }
        // The path, or the last link's target, is `/`.
        Ok(self.entry(OsStr::new("."), flags)?)
    }

    /// Puts the components of `path` before those that follow.
    fn push(&mut self, path: &Path) {
        let name = |component: Component| component.as_os_str().to_owned();
        self.rest.extend(path.components().rev().map(name));
    }

    fn entry(&self, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let here = self.here.as_ref().map_or(self.base, AsFd::as_fd);
        openat(here, name, flags, Mode::empty())
    }

    fn enter(&mut self, name: &OsStr, directory: OwnedFd) {
        self.here = Some(directory);
        self.shown.push(name);
    }

    /// An error where the link `name` of this directory is not to be followed.
    fn judge(&self, name: &OsStr, link: &Stat) -> Result<(), Refusal> {
        if link.st_uid == geteuid().as_raw() {
            return Ok(());
        }
        let directory = fstat(self.entry(OsStr::new("."), PLACE)?)?;
        let is_open = directory.st_mode & 0o002 != 0;
        if is_open && directory.st_uid != link.st_uid {
            return Err(planted(&self.shown.join(name), link.st_uid));
        }
        Ok(())
    }
}
