//! Fills a directory with files, links and devices, and touches nothing outside of it.
//!
//! Everything is done by descriptors of directories, one name at a time, and no symbolic link
//! is ever followed: not one that lies there already, not one that was made here before, and
//! not one that somebody puts there meanwhile.

mod attributes;
mod directories;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use credimg_formats::Sink;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, linkat, openat, statat};
use rustix::io::{Errno, retry_on_intr};

use super::Subject;
use super::buffered::Buffered;
use super::names;
use super::output_name::Id;
use crate::host::follow;
use crate::host::identity::{FileId, file_id};
use crate::host::signals;
use crate::report::{Exit, Failure, reason, shown, warn};
pub use attributes::Attributes;
use directories::Directories;
pub use directories::DirectoryId;

const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const PRIVATE_DIRECTORY: Mode = Mode::RWXU;
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a file is to hold.
pub enum Content<'a> {
    /// All of it.
    Bytes(&'a [u8]),
    /// What writes it.
    Stream(&'a mut dyn FnMut(&mut dyn Sink) -> Result<(), Failure>),
}

/// A file that was made, to which others can be hard links.
#[derive(Clone, Debug)]
pub struct LinkTarget {
    parent: DirectoryId,
    name: OsString,
    id: Id,
}

/// A node that is no file, directory or link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A character device of these two numbers.
    CharDevice(u32, u32),
    /// A block device of these two numbers.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// The directory that is filled.
pub struct Extracted {
    directories: Directories,
    replacing: Replacing,
    /// Whether a file can be made without a name, as far as is known.
    has_nameless: bool,
}

/// What becomes of files, links and nodes that lie there already.
pub enum Replacing {
    /// Whatever is in the way is an error.
    Nothing,
    /// They are replaced, but for these files, which are still read.
    AllBut(Vec<FileId>),
}

/// Where something is about to be made.
struct Spot<'a> {
    directory: BorrowedFd<'a>,
    name: &'a OsStr,
    shown: String,
    replacing: &'a Replacing,
}

impl Extracted {
    /// Opens the directory at `path`, or makes it, with mode 0700. A symbolic link is refused.
    /// Errors are of [`Exit::Output`], and of [`Exit::Policy`] where a link of another user is
    /// on the way.
    ///
    /// From now on the process has no umask, so that modes are set exactly. Files are made with
    /// mode 0600 and directories with 0700, until they get their attributes.
    pub fn open(path: &Path, replacing: Replacing) -> Result<Self, Failure> {
        signals::note()?;
        rustix::process::umask(Mode::empty());
        let base = open_base(path)?;
        let directories = Directories::new(base, path.to_owned());
        Ok(Self { directories, replacing, has_nameless: true })
    }

    /// Makes a directory, or enters the one that is there; true where it was made.
    pub fn directory(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
    ) -> Result<(DirectoryId, bool), Failure> {
        let name = OsStr::from_bytes(name);
        let shown = self.directories.shown(parent, name);
        let directory = self.directories.enter(parent)?;
        let is_new = match rustix::fs::mkdirat(directory, name, PRIVATE_DIRECTORY) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(failure("make the directory", &shown, errno)),
        };
        let opened = retry_on_intr(|| openat(directory, name, DIRECTORY, Mode::empty()));
        let opened = opened.map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => {
                let message = format!("cannot make the directory {shown}: no directory is there");
                Failure::new(Exit::Output, message)
                    .hint("a directory replaces nothing, and no link is followed")
            }
            _ => failure("open the directory", &shown, errno),
        })?;
        let id = self.directories.add(parent, name, opened);
        Ok((id.map_err(|errno| failure("look at", &shown, errno))?, is_new))
    }

    /// Makes a file. Where the file system can, it has no name until it is complete, so that a
    /// kill leaves no part of one; otherwise what does not become complete is removed.
    pub fn file(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
        mut content: Content<'_>,
        attributes: Option<&Attributes>,
    ) -> Result<LinkTarget, Failure> {
        if self.has_nameless {
            if let Some(made) = self.nameless_file(parent, name, &mut content, attributes)? {
                return Ok(made);
            }
            self.has_nameless = false;
        }
        let spot = self.spot(parent, name)?;
        let make = |name: &OsStr| {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            retry_on_intr(|| openat(spot.directory, name, flags, PRIVATE_FILE))
        };
        let (file, own_name) = spot.make(make)?;
        let file = File::from(file);
        let written = spot.fill(&file, &mut content, attributes).and_then(|id| {
            close(file).map_err(|errno| failure("write", &spot.shown, errno))?;
            Ok(id)
        });
        let placed = written.and_then(|id| spot.place(own_name.as_deref()).map(|()| id));
        if placed.is_err() {
            spot.unlink(own_name.as_deref());
        }
        Ok(LinkTarget { parent, name: spot.name.to_owned(), id: placed? })
    }

    /// Makes a file that gets its name at the end; none where the file system cannot do that,
    /// or there is no /proc.
    fn nameless_file(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
        content: &mut Content<'_>,
        attributes: Option<&Attributes>,
    ) -> Result<Option<LinkTarget>, Failure> {
        let spot = self.spot(parent, name)?;
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let open = || openat(spot.directory, ".", flags, PRIVATE_FILE);
        let Ok(file) = retry_on_intr(open) else { return Ok(None) };
        let file = File::from(file);
        let id = spot.fill(&file, content, attributes)?;
        let path = Path::new("/proc/self/fd").join(file.as_raw_fd().to_string());
        let link = |name: &OsStr| {
            let link = || linkat(CWD, &path, spot.directory, name, AtFlags::SYMLINK_FOLLOW);
            retry_on_intr(link)
        };
        match link(spot.name) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let ((), own_name) = spot.make(link)?;
                if let Err(failure) = spot.place(own_name.as_deref()) {
                    spot.unlink(own_name.as_deref());
                    return Err(failure);
                }
            }
            Err(Errno::NOENT | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NOSYS) => {
                return Ok(None);
            }
            Err(errno) => return Err(failure("make", &spot.shown, errno)),
        }
        close(file).map_err(|errno| failure("write", &spot.shown, errno))?;
        Ok(Some(LinkTarget { parent, name: spot.name.to_owned(), id }))
    }

    /// Makes a symbolic link; it may lead anywhere, as nothing here follows it.
    pub fn symlink(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
        target: &[u8],
        attributes: Option<&Attributes>,
    ) -> Result<LinkTarget, Failure> {
        self.entry(parent, name, attributes, |directory, name| {
            rustix::fs::symlinkat(target, directory, name)
        })
    }

    /// Makes a device, a pipe or a socket.
    pub fn node(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
        node: Node,
        attributes: Option<&Attributes>,
    ) -> Result<LinkTarget, Failure> {
        let (kind, device) = match node {
            Node::CharDevice(major, minor) => {
                (FileType::CharacterDevice, rustix::fs::makedev(major, minor))
            }
            Node::BlockDevice(major, minor) => {
                (FileType::BlockDevice, rustix::fs::makedev(major, minor))
            }
            Node::Fifo => (FileType::Fifo, 0),
            Node::Socket => (FileType::Socket, 0),
        };
        // It is never opened: to open a device may do something, and a pipe waits for a writer.
        let mode = attributes.and_then(|attributes| attributes.mode);
        let mode = mode.map_or(PRIVATE_FILE, |mode| Mode::from_raw_mode(mode.into()));
        self.entry(parent, name, attributes, |directory, name| {
            rustix::fs::mknodat(directory, name, kind, mode, device)
        })
    }

    /// Makes another name of something that was made here before.
    pub fn link(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
        to: &LinkTarget,
    ) -> Result<(), Failure> {
        let of = self.directories.enter(to.parent)?.try_clone_to_owned();
        let shown = self.directories.shown(to.parent, &to.name);
        let of = of.map_err(|error| failure("open the directory of", &shown, error))?;
        let spot = self.spot(parent, name)?;
        let make = |name: &OsStr| linkat(&of, &to.name, spot.directory, name, AtFlags::empty());
        let ((), own_name) = spot.make(make)?;
        let name = own_name.as_deref().unwrap_or(spot.name);
        // Somebody may have put another file in the place of the first one.
        let seen = statat(spot.directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let placed = match seen {
            Ok(seen) if Id::from(&seen) == to.id => spot.place(own_name.as_deref()),
            Ok(_) => Err(changed(&shown)),
            Err(errno) => Err(failure("look at", &spot.shown, errno)),
        };
        if placed.is_err() {
            spot.unlink(own_name.as_deref());
        }
        placed
    }

    /// Gives a directory that was made its attributes. This comes when everything is in it: the
    /// mode may forbid to enter it, and each file that is made in it changes its time.
    pub fn finish(&mut self, directory: DirectoryId, with: &Attributes) -> Result<(), Failure> {
        let shown = self.directories.shown_directory(directory);
        let opened = self.directories.enter(directory)?;
        with.apply(opened).map_err(|error| error.into_failure(&shown))
    }

    /// Makes sure that all directories are still where they were made: if somebody has moved
    /// one away, files are missing. Call it before [`Self::finish`], after which a directory's
    /// mode may forbid to enter it.
    pub fn look_again(&mut self) -> Result<(), Failure> {
        self.directories.look_again()
    }

    fn spot<'a>(&'a mut self, parent: DirectoryId, name: &'a [u8]) -> Result<Spot<'a>, Failure> {
        let name = OsStr::from_bytes(name);
        let shown = self.directories.shown(parent, name);
        let (directory, replacing) = (self.directories.enter(parent)?, &self.replacing);
        Ok(Spot { directory, name, shown, replacing })
    }

    fn entry(
        &mut self,
        parent: DirectoryId,
        name: &[u8],
        attributes: Option<&Attributes>,
        make: impl Fn(BorrowedFd, &OsStr) -> Result<(), Errno>,
    ) -> Result<LinkTarget, Failure> {
        let spot = self.spot(parent, name)?;
        let ((), own_name) = spot.make(|name| make(spot.directory, name))?;
        let name = own_name.as_deref().unwrap_or(spot.name);
        let attributes = attributes.map_or(Ok(()), |attributes| {
            let applied = attributes.apply_to_entry(spot.directory, name);
            applied.map_err(|error| error.into_failure(&spot.shown))
        });
        let id = attributes.and_then(|()| {
            let seen = statat(spot.directory, name, AtFlags::SYMLINK_NOFOLLOW);
            seen.map_err(|errno| failure("look at", &spot.shown, errno))
        });
        let placed = id.and_then(|seen| {
            spot.place(own_name.as_deref())?;
            Ok(Id::from(&seen))
        });
        if placed.is_err() {
            spot.unlink(own_name.as_deref());
        }
        Ok(LinkTarget { parent, name: spot.name.to_owned(), id: placed? })
    }
}

impl Spot<'_> {
    /// Makes something under its name, or under a temporary one where it is to replace what has
    /// that name.
    fn make<T>(
        &self,
        make: impl Fn(&OsStr) -> Result<T, Errno>,
    ) -> Result<(T, Option<OsString>), Failure> {
        /// One is enough unless somebody takes the same random name.
        const ATTEMPTS: usize = 32;
        let failed = |errno| failure("make", &self.shown, errno);
        match make(self.name) {
            Ok(new) => return Ok((new, None)),
            Err(Errno::EXIST) => self.require_replaceable()?,
            Err(errno) => return Err(failed(errno)),
        }
        for _ in 0..ATTEMPTS {
            let name = names::random_beside(self.name).map_err(failed)?;
            match make(&name) {
                Ok(new) => return Ok((new, Some(name))),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Err(failed(Errno::EXIST))
    }

    fn require_replaceable(&self) -> Result<(), Failure> {
        let seen = statat(self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW);
        let message = format!("cannot make {}: {}", self.shown, reason(&Errno::EXIST.into()));
        let failure = Failure::new(Exit::Output, message);
        let seen = seen.as_ref().ok();
        if seen.map(|seen| FileType::from_raw_mode(seen.st_mode)) == Some(FileType::Directory) {
            return Err(failure.hint("a directory is there, which nothing else replaces"));
        }
        match self.replacing {
            Replacing::Nothing => {
                Err(failure.hint("--force replaces files and links, never directories"))
            }
            Replacing::AllBut(read) if seen.is_some_and(|seen| read.contains(&file_id(seen))) => {
                let message = format!("{} would replace what it is extracted from", self.shown);
                let failure = Failure::new(Exit::Usage, message);
                Err(failure.hint("extract into another directory"))
            }
            Replacing::AllBut(_) => Ok(()),
        }
    }

    /// Writes all into the new file.
    fn fill(
        &self,
        file: &File,
        content: &mut Content<'_>,
        attributes: Option<&Attributes>,
    ) -> Result<Id, Failure> {
        let failed = |error: io::Error| failure("write", &self.shown, error);
        match content {
            Content::Bytes(bytes) => {
                let mut file = file;
                file.write_all(bytes).map_err(failed)?;
            }
            Content::Stream(stream) => {
                let subject = Subject { shown: self.shown.clone(), hint: None };
                let own = file.try_clone().map_err(failed)?;
                let mut sink = Buffered::new(own, subject);
                stream(&mut sink)?;
                sink.spill()?;
            }
        }
        if let Some(attributes) = attributes {
            let applied = attributes.apply(file.as_fd());
            applied.map_err(|error| error.into_failure(&self.shown))?;
        }
        let seen = rustix::fs::fstat(file).map_err(|errno| failed(errno.into()))?;
        Ok(Id::from(&seen))
    }

    /// Gives what has a temporary name the name that it was made for.
    fn place(&self, own_name: Option<&OsStr>) -> Result<(), Failure> {
        let Some(own_name) = own_name else { return Ok(()) };
        rustix::fs::renameat(self.directory, own_name, self.directory, self.name)
            .map_err(|errno| failure("replace", &self.shown, errno))?;
        // Of two names of one file both stay, says rename(2): a call that made the first one may
        // have reported an error.
        match rustix::fs::unlinkat(self.directory, own_name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failure("remove the second name of", &self.shown, errno)),
        }
    }

    /// Removes what was not completed. If somebody else has put a file in its place at this
    /// moment, that one is removed: both can write in the directory, and no call tells them apart.
    fn unlink(&self, own_name: Option<&OsStr>) {
        let name = own_name.unwrap_or(self.name);
        match rustix::fs::unlinkat(self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => warn(&format!(
                "cannot remove {}, which is not complete, under the name {}: {}",
                self.shown,
                shown(Path::new(name)),
                reason(&errno.into())
            )),
        }
    }
}

fn open_base(path: &Path) -> Result<OwnedFd, Failure> {
    let shown = shown(path);
    let failed = |errno| failure("open the directory", &shown, errno);
    let (parent, name) = split(path);
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Some(name) = name else {
        // A path that ends in `..` or `/` does not end in a link.
        let opened = follow::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC);
        return opened.map_err(|refusal| refusal.into_failure(failed));
    };
    let parent = follow::open(&parent, place).map_err(|refusal| refusal.into_failure(failed))?;
    let open = || retry_on_intr(|| openat(&parent, name, DIRECTORY, Mode::empty()));
    let opened = match open() {
        Err(Errno::NOENT) => {
            rustix::fs::mkdirat(&parent, name, PRIVATE_DIRECTORY)
                .map_err(|errno| failure("make the directory", &shown, errno))?;
            open()
        }
        opened => opened,
    };
    opened.map_err(|errno| {
        let kind = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .map(|seen| FileType::from_raw_mode(seen.st_mode));
        if !matches!(kind, Ok(FileType::Symlink)) {
            return failed(errno);
        }
        let message = format!("{shown} is a symbolic link: nothing is extracted through one");
        Failure::new(Exit::Output, message).hint("name the directory that is meant")
    })
}

/// The directory and the name of a path, without slashes at its end; no name where it ends in
/// `..`, or is the root or `.`.
fn split(path: &Path) -> (PathBuf, Option<&OsStr>) {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    (parent.unwrap_or(Path::new(".")).to_owned(), path.file_name())
}

/// Some file systems, such as NFS, tell only now that there was no room.
fn close(file: File) -> Result<(), io::Error> {
    match nix::unistd::close(OwnedFd::from(file).into_raw_fd()) {
        Ok(()) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn changed(shown: &str) -> Failure {
    let message = format!("{shown} was moved or replaced while more was extracted");
    Failure::new(Exit::Output, message).hint("see who changes the directory meanwhile")
}

fn failure(operation: &str, shown: &str, error: impl Into<io::Error>) -> Failure {
    let reason = reason(&error.into());
    Failure::new(Exit::Output, format!("cannot {operation} {shown}: {reason}"))
}
