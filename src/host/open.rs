//! How files of the host are opened to be read, and what is said of those that cannot be.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use credimg_formats::{Error, ErrorKind, Timestamp};
use rustix::fs::{AtFlags, CWD, FileType, OFlags, Stat, fstat, statat};
use rustix::io::Errno;

use super::at_rest;
use super::follow;
use super::identity::{Identity, wide};
use crate::report::{Exit, Failure, reason, shown};

/// How every file is opened: a FIFO does not block, a terminal does not become
/// ours, and no command that a source runs inherits the descriptor.
pub(crate) const OPEN: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// When the content last changed.
pub(crate) fn modification_time(stat: &Stat) -> Timestamp {
    // Linux counts less than a second of them.
    let nanoseconds = u32::try_from(wide(stat.st_mtime_nsec)).unwrap_or(0);
    Timestamp::new(stat.st_mtime, nanoseconds).unwrap_or(Timestamp::from_seconds(stat.st_mtime))
}

/// What kind of file it is.
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Opens the regular file at `path`, a symbolic link followed unless another user has planted
/// it. What else lies there is refused before it is opened, so that no device notices.
pub(crate) fn open_file(path: &Path) -> Result<(File, Stat), Failure> {
    let failure = |errno| cannot_read(path, errno);
    let stat = statat(CWD, path, AtFlags::empty())
        .map_err(|errno| follow::explain(path, errno, failure))?;
    require_regular(path, &stat)?;
    let file = follow::open(path, OPEN).map_err(|refusal| refusal.into_failure(failure))?;
    let stat = fstat(&file).map_err(failure)?;
    require_regular(path, &stat)?;
    Ok((file.into(), stat))
}

/// Opens a file that no manifest names, whose errors give no hints for manifests.
pub(crate) fn open_named(path: &Path) -> Result<(File, Stat), Failure> {
    open_file(path).map_err(|failure| {
        let is_policy = failure.exit == Exit::Policy;
        if is_policy { failure } else { Failure { hint: None, ..failure } }
    })
}

/// An error unless `stat` is that of a regular file.
pub(crate) fn require_regular(path: &Path, stat: &Stat) -> Result<(), Failure> {
    let kind = file_type(stat);
    if kind == FileType::RegularFile {
        return Ok(());
    }
    let message = format!("{} is {}, expected a regular file", shown(path), kind_name(kind));
    let failure = Failure::new(Exit::Source, message);
    Err(match kind {
        FileType::Directory => failure.hint("for a whole directory write `dir:`"),
        FileType::Symlink => failure,
        FileType::RegularFile
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => failure.hint("for what a program delivers write `command:`"),
    })
}

/// An error unless the open `file` is still what it was.
pub(crate) fn require_unchanged(
    file: impl AsFd,
    planned: &Identity,
    path: &Path,
) -> Result<(), Failure> {
    let stat = fstat(file).map_err(|errno| cannot_read(path, errno))?;
    if Identity::of(&stat) == *planned { Ok(()) } else { Err(at_rest::changed(path)) }
}

/// How messages call a kind of file.
pub(crate) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Unknown => "of an unknown kind",
    }
}

/// The failure to read a host file, with what can be done about it.
pub(crate) fn cannot_read(path: &Path, errno: Errno) -> Failure {
    let failure = Failure::new(Exit::Source, unreadable(path, errno).to_string());
    match errno {
        Errno::NOENT => failure.hint("relative paths begin at the manifest's directory"),
        Errno::ACCESS | Errno::PERM => {
            failure.hint("the user who runs credimg must be able to read it")
        }
        Errno::MFILE => failure.hint("raise the limit on open files: ulimit -n 65536"),
        Errno::AGAIN => failure.hint("it is no plain file, or another program holds a lease on it"),
        _ => failure,
    }
}

pub(crate) fn unreadable(path: &Path, errno: Errno) -> Error {
    unreadable_because(path, errno.into())
}

pub(crate) fn unreadable_because(path: &Path, error: std::io::Error) -> Error {
    let message = format!("cannot read {}: {}", shown(path), reason(&error));
    Error::new(ErrorKind::Source, message).caused_by(error)
}
