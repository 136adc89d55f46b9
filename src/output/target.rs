//! The output path: its directory, its name and the temporaries beside it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RawDir, SeekFrom, Stat};
use rustix::io::{Errno, retry_on_intr};
use rustix::rand::GetRandomFlags;

use super::Subject;
use crate::report::{self, Exit, Failure};

/// Between the output's name and the random letters of a temporary's name.
const MARK: &[u8] = b".credimg-";
const LETTERS: usize = 10;
/// 32 letters: five bits of a random byte choose one without a bias.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Longest file name in bytes (`NAME_MAX` of Linux).
const NAME_MAX_BYTES: usize = 255;
/// Names tried before giving up. One is enough unless somebody fights for them.
const ATTEMPTS: usize = 32;
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The directory entry that the image becomes.
pub(super) struct Target {
    pub(super) directory: OwnedFd,
    pub(super) name: OsString,
    pub(super) subject: Subject,
}

impl Target {
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
        if is_replaceable(&subject, &directory, name)? {
            subject.hint = Some("the old image is unchanged");
        }
        Ok(Self { directory, name: name.to_owned(), subject })
    }

    /// A new file of mode 0600 with a name of its own, locked until it is closed.
    pub(super) fn create_temporary(&self) -> Result<(File, OsString), Failure> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failure = |error: Errno| self.subject.failure("create a temporary file for", error);
        for _ in 0..ATTEMPTS {
            let name = self.temporary_name().map_err(failure)?;
            let file = match rustix::fs::openat(&self.directory, &name, flags, PRIVATE) {
                Ok(file) => File::from(file),
                Err(Errno::EXIST | Errno::INTR) => continue,
                Err(error) => return Err(failure(error)),
            };
            match claim(&file) {
                Ok(true) => return Ok((file, name)),
                Ok(false) => self.unlink(&name),
                Err(error) => {
                    self.unlink(&name);
                    return Err(failure(error));
                }
            }
        }
        Err(failure(Errno::EXIST))
    }

    /// Removes temporaries that killed builders left: those that nobody holds
    /// locked. What cannot be removed stays: it must not fail a build.
    pub(super) fn remove_stale(&self, other_owner: Option<u32>) {
        for name in self.entries(|name| is_leftover_name(OsStr::from_bytes(name), &self.name)) {
            // Errors mean that it is gone, in use or not ours.
            let _ = self.remove_unlocked(&name, other_owner);
        }
    }

    /// The directory's entries whose names are wanted.
    pub(super) fn entries(&self, is_wanted: impl Fn(&[u8]) -> bool) -> Vec<OsString> {
        // It may have been read before. An error shows as an empty directory.
        let _ = rustix::fs::seek(&self.directory, SeekFrom::Start(0));
        let mut buffer = [const { MaybeUninit::uninit() }; 8192];
        let mut entries = RawDir::new(&self.directory, &mut buffer);
        let mut wanted = Vec::new();
        while let Some(Ok(entry)) = entries.next() {
            let name = entry.file_name().to_bytes();
            if is_wanted(name) {
                wanted.push(OsStr::from_bytes(name).to_owned());
            }
        }
        wanted
    }

    fn remove_unlocked(&self, name: &OsStr, other_owner: Option<u32>) -> Result<(), Errno> {
        let seen = rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_ours =
            seen.st_uid == rustix::process::geteuid().as_raw() || Some(seen.st_uid) == other_owner;
        let is_regular = FileType::from_raw_mode(seen.st_mode) == FileType::RegularFile;
        // What has another name is nobody's leftover, unless that name is the target's: it
        // was about to lose this one.
        let is_alone = seen.st_nlink == 1 || seen.st_nlink == 2 && self.is_at_target(&seen);
        if !is_ours || !is_regular || !is_alone {
            return Ok(());
        }
        let open = |access: OFlags| {
            let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::openat(&self.directory, name, flags, Mode::empty())
        };
        // For writing, because NFS locks nothing else; but one that was about to
        // be put in place may have a mode such as 0440 already.
        let file = match open(OFlags::RDWR) {
            Err(Errno::ACCESS) => open(OFlags::RDONLY)?,
            opened => opened?,
        };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        // A builder that finished meanwhile has taken the name away with the
        // file, and no other builder draws the same one.
        self.unlink(name);
        Ok(())
    }

    fn is_at_target(&self, seen: &Stat) -> bool {
        let there = rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        let id = |stat: &Stat| (stat.st_dev, stat.st_ino);
        there.is_ok_and(|there| id(&there) == id(seen))
    }

    pub(super) fn unlink(&self, name: &OsStr) {
        let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
    }

    pub(super) fn temporary_name(&self) -> rustix::io::Result<OsString> {
        let mut name = temporary_prefix(&self.name);
        let mut random = [0; LETTERS];
        rustix::rand::getrandom(&mut random, GetRandomFlags::empty())?;
        name.extend(random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31))));
        Ok(OsString::from_vec(name))
    }
}

/// Whether a file of this name would be taken for a leftover of a build of `target`, both
/// names without a directory.
pub fn is_leftover_name(name: &OsStr, target: &OsStr) -> bool {
    name.as_bytes().strip_prefix(&*temporary_prefix(target)).is_some_and(|letters| {
        letters.len() == LETTERS && letters.iter().all(|letter| ALPHABET.contains(letter))
    })
}

/// `.NAME.credimg-`, where a long name is cut so that the letters have room.
fn temporary_prefix(name: &OsStr) -> Vec<u8> {
    let room = NAME_MAX_BYTES - 1 - MARK.len() - LETTERS;
    let name = name.as_bytes();
    [b".", name.get(..room).unwrap_or(name), MARK].concat()
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

/// Whether there is something at `name`; an error where it is nothing to be replaced.
pub(super) fn is_replaceable(
    subject: &Subject,
    directory: &OwnedFd,
    name: &OsStr,
) -> Result<bool, Failure> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(subject.failure("write", error)),
        Ok(stat) => {
            refuse_type(subject, FileType::from_raw_mode(stat.st_mode))?;
            refuse_descriptor(subject, directory, name, stat.st_mode)?;
            Ok(true)
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
        .hint("an image replaces a regular file or a symbolic link, nothing else"))
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
    if link.to_bytes().starts_with(b"/proc/") {
        return Err(subject
            .refusal("write", "it stands for an open descriptor")
            .hint("`-o -` writes to standard output"));
    }
    Ok(())
}

/// Locks a fresh temporary and makes it 0600. `false` means that another
/// builder took it for a leftover in the instant before it was locked.
fn claim(file: &File) -> rustix::io::Result<bool> {
    match retry_on_intr(|| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Err(Errno::WOULDBLOCK) => return Ok(false),
        // On a file system without locks nobody can lock it to remove it either.
        Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        Err(error) => return Err(error),
    }
    let stat = rustix::fs::fstat(file)?;
    if Mode::from_raw_mode(stat.st_mode) != PRIVATE {
        // The umask took the caller's own bits.
        rustix::fs::fchmod(file, PRIVATE)?;
    }
    Ok(stat.st_nlink > 0)
}
