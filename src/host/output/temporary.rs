//! Temporaries: private files that take their name when they are complete.
//!
//! Where the file system can, a temporary has no name at all until then, and a kill
//! leaves nothing. Otherwise it has one of its own, in the private directory. Its builder
//! holds a lock on it in either case, so that nobody takes it for a leftover.

use std::fs::File;
use std::io::Seek;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Stat, linkat, openat};
use rustix::io::{Errno, retry_on_intr};

use super::lock::{self, Lock};
use super::output_name::{Entry, Id, OutputName};
use super::{Permissions, leftovers, no_access, private_directory, widen};
use crate::host::signals;
use crate::report::{self, Failure};

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
    name: Option<Entry>,
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
        let Ok(file) = retry_on_intr(|| openat(&target.folder().fd, ".", flags, PRIVATE)) else {
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
        let opened = openat(&target.folder().fd, &target.entry.name, flags, mode);
        let file = File::from(opened.map_err(|error| failure(target, error))?);
        let seen = rustix::fs::fstat(&file).map_err(|error| failure(target, error))?;
        Ok((file, Self { id: Id::from(&seen), name: None }))
    }

    fn create_named(target: &OutputName) -> Result<(File, Self), Failure> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        for attempt in 0..ATTEMPTS {
            let name = private_directory::fresh_name(target, attempt)
                .map_err(|error| failure(target, error))?;
            let file = match name.open(flags, PRIVATE) {
                Ok(file) => file,
                Err(error) => {
                    // The file may have been made in spite of the error. Nobody else draws the
                    // same random name, so an empty file of this name is ours.
                    if matches!(name.stat(), Ok(Some(seen)) if seen.st_size == 0) {
                        remove(&name);
                    }
                    if matches!(error, Errno::EXIST | Errno::INTR)
                        || private_directory::is_lost(target, &name, error)
                    {
                        continue;
                    }
                    return Err(failure(target, error));
                }
            };
            match claim(&file).and_then(|is_ours| Ok((is_ours, prepare(&file)?))) {
                // Before it was locked, another builder may have removed it as a leftover.
                Ok((true, seen)) if seen.st_nlink > 0 => {
                    return Ok((file, Self { id: Id::from(&seen), name: Some(name) }));
                }
                Ok(_) => remove(&name),
                Err(error) => {
                    remove(&name);
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
    pub(super) fn name(&self) -> Option<&Entry> {
        self.name.as_ref()
    }

    /// Notes that the file has lost its name, and returns that name.
    pub(super) fn forget(&mut self) -> Option<Entry> {
        self.name.take()
    }

    /// Gives the complete file the name, unless that is taken. Where a file
    /// without a name cannot get one, as without /proc or under some profiles of
    /// `AppArmor`, `file` becomes a copy that has one.
    pub(super) fn take_name(
        &mut self,
        target: &OutputName,
        file: &mut File,
        name: &Entry,
        permissions: Permissions,
    ) -> Result<Taken, Failure> {
        let mut outcome = self.try_name(file, name);
        if let Err(error) = outcome
            && private_directory::is_lost(target, name, error)
        {
            return Ok(Taken::No);
        }
        if self.name.is_none()
            && matches!(
                outcome,
                Err(Errno::NOENT | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::NOSYS)
            )
        {
            self.copy(target, file, permissions)?;
            outcome = self.try_name(file, name);
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
    ) -> Result<Entry, Failure> {
        for attempt in 0..ATTEMPTS {
            if let Some(name) = &self.name {
                return Ok(name.clone());
            }
            let name = private_directory::fresh_name(target, attempt)
                .map_err(|error| failure(target, error))?;
            self.take_name(target, file, &name, permissions)?;
        }
        Err(failure(target, Errno::EXIST))
    }

    fn try_name(&mut self, file: &File, name: &Entry) -> Result<Taken, Errno> {
        let mut has_two = false;
        let outcome = match &self.name {
            None => {
                let path = Path::new("/proc/self/fd").join(file.as_raw_fd().to_string());
                let flags = AtFlags::SYMLINK_FOLLOW;
                retry_on_intr(|| linkat(CWD, &path, &name.folder.fd, &name.name, flags))
            }
            Some(own) => {
                match own.rename_with(name, RenameFlags::NOREPLACE) {
                    // The file system cannot do it, as NFS: a second name does the same. A
                    // crash before the first one goes leaves both.
                    Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                        has_two = true;
                        own.link(name)
                    }
                    outcome => outcome,
                }
            }
        };
        if let Err(error) = outcome
            && !matches!(name.leads_to(self.id), Ok(true))
        {
            let has_no_links = matches!(
                error,
                Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::XDEV
            );
            return if has_two && has_no_links { Ok(Taken::Never) } else { Err(error) };
        }
        if has_two {
            self.remove();
        }
        self.name = Some(name.clone());
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
    pub(super) fn remove(&mut self) {
        if let Some(name) = self.name.take() {
            remove(&name);
        }
    }
}

/// Removes a temporary name. One that cannot be removed brings a warning: it leads to secrets.
pub(super) fn remove(name: &Entry) {
    if let Err(error) = name.unlink() {
        report::warn(&format!(
            "cannot remove the temporary {}, which may hold secrets: {}: remove it, or let the \
             next build do so",
            name.shown(),
            report::reason(&error.into())
        ));
    }
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
