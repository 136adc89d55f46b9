//! Temporaries: private files that take their name when they are complete.
//!
//! Where the file system can, a temporary has no name at all until then, and a kill
//! leaves nothing. Otherwise it has one of its own. Its builder holds a lock on it in
//! either case, so that nobody takes it for a leftover.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Seek;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Stat, linkat, openat, renameat_with};
use rustix::io::{Errno, retry_on_intr};
use rustix::rand::GetRandomFlags;

use super::lock::{self, Lock};
use super::output_name::{Id, OutputName};
use super::{Permissions, leftovers, no_access, widen};
use crate::host::signals;
use crate::report::{self, Failure};

/// Between the output's name and the letters that end a temporary's name.
const MARK: &[u8] = b".credimg-";
const LETTERS: usize = 10;
/// 32 letters: five bits of a random byte choose one without a bias.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// The letters of the one name that is not random (see `turn`).
const TURN: &[u8; LETTERS] = b"commitlock";
/// Longest file name in bytes (`NAME_MAX` of Linux).
const NAME_MAX_BYTES: usize = 255;
/// Names tried before giving up. One is enough unless somebody takes the same random names.
const ATTEMPTS: usize = 32;
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Whether a file got the name that it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The file has the name.
    Yes,
    /// Another file has the name.
    No,
    /// The file system can give no name without taking it from what has it: it knows
    /// neither `RENAME_NOREPLACE` nor links. The file has a name of its own.
    Never,
}

/// Which file a temporary is, and its name, if it has one.
pub(super) struct Temporary {
    id: Id,
    name: Option<OsString>,
}

impl Temporary {
    /// A new file of mode 0600, locked until it is closed. Where it cannot be without a
    /// name, and `room` is needed, what killed builders left is removed first: it may be
    /// as large as an image.
    pub(super) fn create(
        target: &OutputName,
        room: Option<Permissions>,
    ) -> Result<(File, Self), Failure> {
        signals::note()?;
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let Ok(file) = retry_on_intr(|| openat(&target.directory, ".", flags, PRIVATE)) else {
            if let Some(permissions) = room {
                leftovers::make_room(target, permissions);
            }
            return Self::create_named(target);
        };
        let file = File::from(file);
        claim(&file).map_err(|error| failure(target, error))?;
        let seen = prepare(&file).map_err(|error| failure(target, error))?;
        Ok((file, Self { id: Id::from(&seen), name: None }))
    }

    /// The target itself, opened in place: what the program does without its promises.
    pub(super) fn none(target: &OutputName) -> Result<(File, Self), Failure> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let opened = openat(&target.directory, &target.name, flags, mode);
        let file = File::from(opened.map_err(|error| failure(target, error))?);
        let seen = rustix::fs::fstat(&file).map_err(|error| failure(target, error))?;
        Ok((file, Self { id: Id::from(&seen), name: None }))
    }

    fn create_named(target: &OutputName) -> Result<(File, Self), Failure> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..ATTEMPTS {
            let name = random_name(target).map_err(|error| failure(target, error))?;
            let file = match openat(&target.directory, &name, flags, PRIVATE) {
                Ok(file) => File::from(file),
                Err(error) => {
                    // The file may have been made in spite of the error. Nobody else draws the
                    // same random name, so an empty file of this name is ours.
                    if matches!(target.at(&name), Ok(Some(seen)) if seen.st_size == 0) {
                        remove(target, &name);
                    }
                    match error {
                        Errno::EXIST | Errno::INTR => continue,
                        _ => return Err(failure(target, error)),
                    }
                }
            };
            match claim(&file).and_then(|is_ours| Ok((is_ours, prepare(&file)?))) {
                // Before it was locked, another builder may have removed it as a leftover.
                Ok((true, seen)) if seen.st_nlink > 0 => {
                    return Ok((file, Self { id: Id::from(&seen), name: Some(name) }));
                }
                Ok(_) => remove(target, &name),
                Err(error) => {
                    remove(target, &name);
                    return Err(failure(target, error));
                }
            }
        }
        Err(failure(target, Errno::EXIST))
    }

    /// Which file it is.
    pub(super) fn id(&self) -> Id {
        self.id
    }

    /// The name that it has now.
    pub(super) fn name(&self) -> Option<&OsStr> {
        self.name.as_deref()
    }

    /// Notes that the file has lost its name, and returns that name.
    pub(super) fn forget(&mut self) -> Option<OsString> {
        self.name.take()
    }

    /// Gives the complete file the name, unless that is taken. Where a file
    /// without a name cannot get one, as without /proc or under some profiles of
    /// `AppArmor`, `file` becomes a copy that has one.
    pub(super) fn take_name(
        &mut self,
        target: &OutputName,
        file: &mut File,
        name: &OsStr,
        permissions: Permissions,
    ) -> Result<Taken, Failure> {
        let mut outcome = self.try_name(target, file, name);
        if self.name.is_none()
            && matches!(
                outcome,
                Err(Errno::NOENT | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NOSYS)
            )
        {
            self.copy(target, file, permissions)?;
            outcome = self.try_name(target, file, name);
        }
        match outcome {
            Ok(taken) => Ok(taken),
            Err(Errno::EXIST) => Ok(Taken::No),
            Err(error) => Err(target.subject.failure("name the new file of", error)),
        }
    }

    /// Gives it a random name, if it has none; returns the name that it has then.
    pub(super) fn take_any_name(
        &mut self,
        target: &OutputName,
        file: &mut File,
        permissions: Permissions,
    ) -> Result<OsString, Failure> {
        for _ in 0..ATTEMPTS {
            if let Some(name) = &self.name {
                return Ok(name.clone());
            }
            let name = random_name(target).map_err(|error| failure(target, error))?;
            self.take_name(target, file, &name, permissions)?;
        }
        Err(failure(target, Errno::EXIST))
    }

    fn try_name(&mut self, target: &OutputName, file: &File, name: &OsStr) -> Result<Taken, Errno> {
        let directory = &target.directory;
        let mut has_two = false;
        let outcome = match &self.name {
            None => {
                let path = Path::new("/proc/self/fd").join(file.as_raw_fd().to_string());
                let flags = AtFlags::SYMLINK_FOLLOW;
                retry_on_intr(|| linkat(CWD, &path, directory, name, flags))
            }
            Some(own) => {
                match renameat_with(directory, own, directory, name, RenameFlags::NOREPLACE) {
                    // The file system cannot do it, as NFS: a second name does the same. A
                    // crash before the first one goes leaves both.
                    Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                        has_two = true;
                        linkat(directory, own, directory, name, AtFlags::empty())
                    }
                    outcome => outcome,
                }
            }
        };
        if let Err(error) = outcome
            && !matches!(target.leads_to(name, self.id), Ok(true))
        {
            let has_no_links =
                matches!(error, Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP);
            return if has_two && has_no_links { Ok(Taken::Never) } else { Err(error) };
        }
        if has_two {
            self.remove(target);
        }
        self.name = Some(name.to_owned());
        Ok(Taken::Yes)
    }

    fn copy(
        &mut self,
        target: &OutputName,
        file: &mut File,
        permissions: Permissions,
    ) -> Result<(), Failure> {
        let (mut copy, temporary) = Self::create_named(target)?;
        *self = temporary;
        let copied = file
            .rewind()
            .and_then(|()| std::io::copy(file, &mut copy).map(drop))
            .map_err(|error| target.subject.failure("write", error));
        copied?;
        widen(&copy, permissions)
            .map_err(|error| no_access(&target.subject, error, permissions))?;
        retry_on_intr(|| rustix::fs::fsync(&copy))
            .map_err(|error| target.subject.failure("write", error))?;
        *file = copy;
        Ok(())
    }

    /// Removes the name, if it has one.
    pub(super) fn remove(&mut self, target: &OutputName) {
        if let Some(name) = self.name.take() {
            remove(target, &name);
        }
    }
}

/// Removes a temporary name. One that cannot be removed brings a warning: it leads to secrets.
pub(super) fn remove(target: &OutputName, name: &OsStr) {
    if let Err(error) = target.unlink(name) {
        report::warn(&format!(
            "cannot remove the temporary {}, which may hold secrets: {}: remove it, or let the \
             next build do so",
            target.shown(name),
            report::reason(&error.into())
        ));
    }
}

/// Whether a file of this name would be taken for a leftover of a build of `target`, both
/// names without a directory.
pub fn is_leftover_name(name: &OsStr, target: &OsStr) -> bool {
    name.as_bytes().strip_prefix(&*prefix(target)).is_some_and(|letters| {
        letters.len() == LETTERS && letters.iter().all(|letter| ALPHABET.contains(letter))
    })
}

/// The temporary name that all builders of the target know.
pub(super) fn turn_name(target: &OutputName) -> OsString {
    let mut name = prefix(&target.name);
    name.extend(TURN);
    OsString::from_vec(name)
}

/// A random temporary name, which nobody else can guess or draw.
pub(super) fn random_name(target: &OutputName) -> rustix::io::Result<OsString> {
    random_name_for(&target.name)
}

/// A random temporary name for a file that will be called `name`.
pub(super) fn random_name_for(name: &OsStr) -> rustix::io::Result<OsString> {
    let mut name = prefix(name);
    let mut random = [0; LETTERS];
    retry_on_intr(|| rustix::rand::getrandom(&mut random, GetRandomFlags::empty()))?;
    name.extend(random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31))));
    Ok(OsString::from_vec(name))
}

/// `.NAME.credimg-`, where a long name is cut so that the letters have room.
fn prefix(name: &OsStr) -> Vec<u8> {
    let room = NAME_MAX_BYTES - 1 - MARK.len() - LETTERS;
    let name = name.as_bytes();
    [b".", name.get(..room).unwrap_or(name), MARK].concat()
}

/// Locks a fresh temporary. False where somebody else has locked it.
fn claim(file: &File) -> rustix::io::Result<bool> {
    Ok(lock::lock(file)? != Lock::Held)
}

/// Makes sure that the mode is 0600, and returns the metadata.
fn prepare(file: &File) -> rustix::io::Result<Stat> {
    let stat = rustix::fs::fstat(file)?;
    if Mode::from_raw_mode(stat.st_mode) != PRIVATE {
        // The umask has cleared permissions of the owner.
        rustix::fs::fchmod(file, PRIVATE)?;
    }
    Ok(stat)
}

fn failure(target: &OutputName, error: Errno) -> Failure {
    target.subject.failure("create a temporary file for", error)
}
