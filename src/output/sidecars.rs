//! The files that belong to an image, `IMAGE.SUFFIX`: each is written to a
//! private temporary like the image's, and takes its name just before the image
//! does. What it replaces is kept until the image is in place.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, FileType, FlockOperation, RenameFlags, flock, linkat, renameat, renameat_with, statat,
    unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

use super::target::{Target, is_replaceable};
use super::{Options, Subject, no_access, widen};
use crate::report::{self, Exit, Failure};
use crate::signals;

/// How long another build of the same directory may take to put its files in
/// place, which are a few renames.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The sidecars of an image in the making.
#[derive(Default)]
pub(super) struct Sidecars {
    files: Vec<Sidecar>,
    /// Names of those that the old image had and the new one has not.
    stale: Vec<OsString>,
}

struct Sidecar {
    name: OsString,
    temporary: OsString,
    subject: Subject,
    state: State,
    /// Open to the end: its lock says that the temporary is in use.
    _file: File,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Under its temporary name.
    Written,
    /// In place, where nothing was before.
    Placed,
    /// In place, and what it replaced has the temporary name.
    Exchanged,
    /// In place, and what it replaced is gone.
    Replaced,
}

impl Sidecars {
    /// Writes a sidecar, onto the disk but not in place.
    pub(super) fn add(
        &mut self,
        target: &Target,
        suffix: &str,
        content: &[u8],
        options: Options,
    ) -> Result<(), Failure> {
        let name = [target.name.as_bytes(), b".", suffix.as_bytes()].concat();
        let name = OsString::from_vec(name);
        // Beside the image, as messages call that.
        let shown = format!("{}.{}", target.subject.shown, report::shown(Path::new(suffix)));
        let subject = Subject { shown, hint: target.subject.hint };
        is_replaceable(&subject, &target.directory, &name)?;
        let (mut file, temporary) = target.create_temporary()?;
        let to_failure = |error: std::io::Error| subject.failure("write", error);
        let written = file.write_all(content).map_err(to_failure).and_then(|()| {
            widen(&file, options).map_err(|error| no_access(&subject, error, options))?;
            retry_on_intr(|| rustix::fs::fsync(&file)).map_err(|error| to_failure(error.into()))
        });
        let failure = written.err();
        let state = State::Written;
        self.files.push(Sidecar { name, temporary, subject, state, _file: file });
        failure.map_or(Ok(()), Err)
    }

    /// Gives every sidecar its name. After an error [`take_back`](Self::take_back)
    /// restores what was there.
    pub(super) fn put_in_place(
        &mut self,
        target: &Target,
        options: Options,
    ) -> Result<(), Failure> {
        if self.files.is_empty() && options.is_sidecar.is_none() {
            return Ok(());
        }
        // Two builders never mix their files. That takes the lock for an image
        // without any as well: another builder may add some at this moment, and
        // they would be left under this image.
        lock(target)?;
        signals::check()?;
        self.stale = options.is_sidecar.map_or_else(Vec::new, |is| old(target, is));
        self.stale.retain(|name| self.files.iter().all(|file| file.name != *name));
        for file in &mut self.files {
            file.state = file
                .put_in_place(target)
                .map_err(|error| file.subject.failure("replace", error))?;
        }
        Ok(())
    }

    /// Removes what was replaced and what is stale; the image is in place. What
    /// was replaced goes with the next build at the latest, but a stale sidecar
    /// that stays would still be taken for one of the image's.
    pub(super) fn settle(&mut self, target: &Target) -> Result<(), Failure> {
        for file in self.files.iter().filter(|file| file.state == State::Exchanged) {
            target.unlink(&file.temporary);
        }
        let mut outcome = Ok(());
        for name in &self.stale {
            match unlinkat(&target.directory, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => {
                    let shown = report::shown(Path::new(name));
                    let reason = report::reason(&error.into());
                    let message = format!("cannot remove {shown} of the old image: {reason}");
                    let failure = Failure::new(Exit::Output, message);
                    outcome = Err(failure.hint("the new image is in place: remove the file"));
                }
            }
        }
        outcome
    }

    /// Restores what was there, from the last one to the first, and removes the temporaries.
    pub(super) fn take_back(&mut self, target: &Target) {
        for file in self.files.iter().rev() {
            let Sidecar { name, temporary, state, .. } = file;
            let directory = &target.directory;
            let is_back = match state {
                // What it replaces is no longer wanted.
                State::Exchanged => renameat(directory, temporary, directory, name),
                State::Placed => renameat(directory, name, directory, temporary),
                State::Written | State::Replaced => Ok(()),
            };
            // Else the temporary is what was replaced. Nothing is left to report it to.
            if is_back.is_ok() {
                target.unlink(temporary);
            }
        }
    }
}

impl Sidecar {
    fn put_in_place(&mut self, target: &Target) -> Result<State, Errno> {
        let Self { name, temporary, .. } = &*self;
        let directory = &target.directory;
        let exchange = RenameFlags::EXCHANGE;
        match renameat_with(directory, temporary, directory, name, exchange) {
            Ok(()) => return Ok(State::Exchanged),
            Err(Errno::NOENT) => {
                renameat(directory, temporary, directory, name)?;
                return Ok(State::Placed);
            }
            // The file system cannot do it, as NFS: a second name keeps what is replaced.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
        let kept = target.temporary_name()?;
        let linked = linkat(directory, name, directory, &kept, AtFlags::empty());
        let replaced = renameat(directory, temporary, directory, name);
        if replaced.is_err() && linked.is_ok() {
            target.unlink(&kept);
        }
        replaced?;
        Ok(match linked {
            Ok(()) => {
                self.temporary = kept;
                State::Exchanged
            }
            Err(Errno::NOENT) => State::Placed,
            // It cannot do that either.
            Err(_) => State::Replaced,
        })
    }
}

/// The sidecars that are there: regular files, whoever owns them, as an earlier
/// build may have given them to somebody else. One that has another name as well
/// counts, too: it would be taken for one of the image's, and keeps its bytes there.
fn old(target: &Target, is_sidecar: fn(&[u8]) -> bool) -> Vec<OsString> {
    let mut names = target.entries(|name| {
        let suffix = name.strip_prefix(target.name.as_bytes());
        suffix.and_then(|rest| rest.strip_prefix(b".")).is_some_and(is_sidecar)
    });
    names.retain(|name: &OsString| {
        let seen = statat(&target.directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let is_file = |mode| FileType::from_raw_mode(mode) == FileType::RegularFile;
        seen.is_ok_and(|seen| is_file(seen.st_mode))
    });
    names
}

/// Locks the directory until the image is dropped, where its file system knows locks.
fn lock(target: &Target) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        match flock(&target.directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if started.elapsed() < LOCK_PATIENCE => {
                signals::check()?;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(Errno::WOULDBLOCK) => {
                let reason = "another program holds a lock of its directory";
                return Err(target.subject.refusal("replace", reason));
            }
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                return Ok(());
            }
            Err(error) => return Err(target.subject.failure("lock the directory of", error)),
        }
    }
}
