//! The files that belong to an image, `IMAGE.SUFFIX`: each is written to a
//! private temporary like the image's, and takes its name just before the image
//! does. What it replaces is kept until the image is in place, and so is what the old
//! image had and the new one has not.
//!
//! A call that reports an error may have done what was asked. So after an error the code looks
//! which file has the name, and goes by that.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, RenameFlags, linkat, renameat, renameat_with};
use rustix::io::{Errno, retry_on_intr};

use super::output_name::{OutputName, replaceable};
use super::temporary::{self, Taken, Temporary, random_name};
use super::{Permissions, Subject, no_access, widen};
use crate::report::{self, Exit, Failure};

/// How often a name may be taken and given away by others while it is replaced.
const ATTEMPTS: usize = 8;

/// The sidecars of an image in the making.
#[derive(Default)]
pub(super) struct Sidecars {
    files: Vec<Sidecar>,
    /// Those that the old image had and the new one has not.
    stale: Vec<Kept>,
}

struct Sidecar {
    name: OsString,
    temporary: Temporary,
    subject: Subject,
    state: State,
    /// Open to the end: its lock says that the temporary is in use.
    file: File,
}

enum State {
    /// It has its temporary name, or no name yet.
    Written,
    /// It is in place, where nothing was before.
    Placed,
    /// It is in place, and the file that it replaced has a temporary name.
    Exchanged(OsString),
    /// It is in place, and the file that it replaced is gone.
    Replaced,
}

/// A file of the old image that waits under a temporary name.
struct Kept {
    name: OsString,
    temporary: OsString,
}

impl Sidecars {
    /// Writes a sidecar, onto the disk but not in place.
    pub(super) fn add(
        &mut self,
        target: &OutputName,
        suffix: &str,
        content: &[u8],
        permissions: Permissions,
    ) -> Result<(), Failure> {
        let name = [target.name.as_bytes(), b".", suffix.as_bytes()].concat();
        let name = OsString::from_vec(name);
        // Beside the image, as messages call that.
        let shown = format!("{}.{}", target.subject.shown, report::shown(Path::new(suffix)));
        let subject = Subject { shown, hint: target.subject.hint };
        replaceable(&subject, &target.directory, &name)?;
        let (mut file, temporary) = Temporary::create(target, None)?;
        let to_failure = |error: std::io::Error| subject.failure("write", error);
        let written = file.write_all(content).map_err(to_failure).and_then(|()| {
            widen(&file, permissions).map_err(|error| no_access(&subject, error, permissions))?;
            retry_on_intr(|| rustix::fs::fsync(&file)).map_err(|error| to_failure(error.into()))
        });
        self.files.push(Sidecar { name, temporary, subject, state: State::Written, file });
        written
    }

    /// Gives every sidecar its name, and those of `old` that no new one replaces a
    /// temporary one. After an error [`take_back`](Self::take_back) restores what was there.
    pub(super) fn put_in_place(
        &mut self,
        target: &OutputName,
        old: Vec<OsString>,
        permissions: Permissions,
    ) -> Result<(), Failure> {
        for file in &mut self.files {
            file.put_in_place(target, permissions)?;
        }
        for name in old {
            if self.files.iter().all(|file| file.name != name) {
                self.stale.extend(Kept::take_away(target, name)?);
            }
        }
        Ok(())
    }

    /// The temporary names of these files and of those that they replace.
    pub(super) fn temporary_names(&self) -> Vec<OsString> {
        let files = self.files.iter().filter_map(|file| match &file.state {
            State::Exchanged(kept) => Some(kept.clone()),
            State::Written | State::Placed | State::Replaced => {
                file.temporary.name().map(ToOwned::to_owned)
            }
        });
        files.chain(self.stale.iter().map(|kept| kept.temporary.clone())).collect()
    }

    /// Whether each is still in place, now that the image is: another user's builder may
    /// have been at work.
    pub(super) fn look_again(&self, target: &OutputName) -> Result<(), Failure> {
        for file in &self.files {
            let reason = match target.leads_to(&file.name, file.temporary.id()) {
                Ok(true) => continue,
                Ok(false) => "another file has taken its place".to_owned(),
                Err(error) => report::reason(&error.into()),
            };
            let failure = file.subject.refusal("find", &reason);
            return Err(failure.hint("the new image is in place, without this file: build again"));
        }
        Ok(())
    }

    /// Removes what was replaced and what is stale; the image is in place. Each one that
    /// stays is an error, as it holds secrets of the old image.
    pub(super) fn remove_old(&mut self, target: &OutputName) -> Vec<Failure> {
        let replaced = self.files.iter().filter_map(|file| match &file.state {
            State::Exchanged(kept) => Some((&file.name, kept)),
            State::Written | State::Placed | State::Replaced => None,
        });
        let stale = self.stale.iter().map(|kept| (&kept.name, &kept.temporary));
        let mut failures = Vec::new();
        for (name, kept) in replaced.chain(stale) {
            if let Err(error) = target.unlink(kept) {
                let message = format!(
                    "cannot remove {}, which was {} of the old image: {}",
                    target.shown(kept),
                    report::shown(Path::new(name)),
                    report::reason(&error.into())
                );
                let failure = Failure::new(Exit::Output, message);
                failures.push(failure.hint("the new image is in place: remove the file"));
            }
        }
        failures
    }

    /// Restores what was there, from the last one to the first, and removes the
    /// temporaries. Returns what could not be restored.
    pub(super) fn take_back(&mut self, target: &OutputName) -> Vec<String> {
        let mut lost = Vec::new();
        for kept in self.stale.drain(..).rev() {
            if !kept.put_back(target) {
                let (name, place) = (target.shown(&kept.name), target.shown(&kept.temporary));
                lost.push(format!("{name} is called {place} now"));
            }
        }
        for file in self.files.iter_mut().rev() {
            lost.extend(file.take_back(target));
            file.temporary.remove(target);
        }
        lost
    }
}

impl Sidecar {
    fn put_in_place(
        &mut self,
        target: &OutputName,
        permissions: Permissions,
    ) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            let Self { name, temporary, file, .. } = self;
            if temporary.take_name(target, file, name, permissions)? == Taken::Yes {
                temporary.forget();
                self.state = State::Placed;
                return Ok(());
            }
            let own = self.temporary.take_any_name(target, &mut self.file, permissions)?;
            match self.replace(target, &own) {
                Ok(state) => {
                    self.temporary.forget();
                    self.state = state;
                    return Ok(());
                }
                // Somebody has removed it between the two calls.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(self.subject.failure("replace", error)),
            }
        }
        Err(self.subject.refusal("replace", "others replace it at the same time"))
    }

    /// Takes the place of what has the name.
    fn replace(&self, target: &OutputName, own: &OsStr) -> Result<State, Errno> {
        let directory = &target.directory;
        match renameat_with(directory, own, directory, &self.name, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(State::Exchanged(own.to_owned())),
            // The file system cannot do it, as NFS: a second name keeps what is replaced.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(_) if target.leads_to(&self.name, self.temporary.id())? => {
                return Ok(State::Exchanged(own.to_owned()));
            }
            Err(error) => return Err(error),
        }
        let kept = random_name(target)?;
        let linked = linkat(directory, &self.name, directory, &kept, AtFlags::empty());
        let is_kept = linked.is_ok() || matches!(target.at(&kept), Ok(Some(_)));
        if let Err(error) = renameat(directory, own, directory, &self.name)
            && !target.leads_to(&self.name, self.temporary.id())?
        {
            if is_kept {
                temporary::remove(target, &kept);
            }
            return Err(error);
        }
        Ok(match linked {
            _ if is_kept => State::Exchanged(kept),
            Err(Errno::NOENT) => State::Placed,
            // The file system has no links either: what is replaced cannot be kept.
            Ok(()) | Err(_) => State::Replaced,
        })
    }

    /// Undoes the replacing; says what could not be undone.
    fn take_back(&mut self, target: &OutputName) -> Option<String> {
        let directory = &target.directory;
        // A file that somebody else has put there meanwhile is left alone.
        let is_there = |it: &Self| target.leads_to(&it.name, it.temporary.id());
        let stays = format!("{} is of the new build", self.subject.shown);
        match std::mem::replace(&mut self.state, State::Written) {
            State::Written => None,
            State::Replaced => Some(stays),
            State::Placed => {
                let is_gone = is_there(self)
                    .is_ok_and(|is_there| !is_there || target.unlink(&self.name).is_ok());
                (!is_gone).then_some(stays)
            }
            State::Exchanged(kept) => {
                let is_back = renameat(directory, &kept, directory, &self.name).is_ok();
                let place = target.shown(&kept);
                (!is_back && is_there(self) != Ok(false))
                    .then(|| format!("{stays} while what it replaced is called {place} now"))
            }
        }
    }
}

impl Kept {
    /// Gives a file of the old image a temporary name; none where it is gone already.
    fn take_away(target: &OutputName, name: OsString) -> Result<Option<Self>, Failure> {
        let failure = |error: Errno| {
            let shown = target.shown(&name);
            let reason = report::reason(&error.into());
            let message = format!("cannot remove {shown} of the old image: {reason}");
            let failure = Failure::new(Exit::Output, message);
            failure.hint(target.subject.hint.unwrap_or("nothing is replaced"))
        };
        let directory = &target.directory;
        let temporary = random_name(target).map_err(failure)?;
        if let Err(error) = renameat(directory, &name, directory, &temporary) {
            match target.at(&temporary) {
                // The rename was done in spite of its error.
                Ok(Some(_)) => {}
                Ok(None) if error == Errno::NOENT => return Ok(None),
                Ok(None) | Err(_) => return Err(failure(error)),
            }
        }
        Ok(Some(Self { name, temporary }))
    }

    /// Gives the file its name back; false where it keeps the temporary one.
    fn put_back(&self, target: &OutputName) -> bool {
        let directory = &target.directory;
        let back = renameat(directory, &self.temporary, directory, &self.name);
        back.is_ok() || matches!(target.at(&self.temporary), Ok(None))
    }
}
