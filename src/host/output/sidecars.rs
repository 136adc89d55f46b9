//! The files that belong to an image, `IMAGE.SUFFIX`: each is written to a
//! private temporary like the image's, and takes its name just before the image
//! does. What it replaces is kept until the image is in place, and so is what the old
//! image had and the new one has not.
//!
//! A call that reports an error may have done what was asked. So after an error the code looks
//! which file has the name, and goes by that.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::buffered::Buffered;
use super::durable::Unsynced;
use super::index::{self, INDEX_SUFFIX, index_text};
use super::output_name::{Entry, OutputName, replaceable};
use super::temporary::{self, Taken, Temporary};
use super::{IsSidecar, Permissions, Subject, no_access, private_directory, widen};
use crate::host::steady::Steady;
use crate::report::{self, Exit, Failure};

/// How often a name may be taken and given away by others while it is replaced.
const ATTEMPTS: usize = 8;

/// The sidecars of an image in the making.
#[derive(Default)]
pub(super) struct Sidecars {
    files: Vec<Sidecar>,
    /// Those that the old image had and the new one has not.
    stale: Vec<Kept>,
    /// The suffixes of the old image, as they were when the index was written, which is the first
    /// of the files; none where there is no index yet.
    foreseen: Option<Vec<String>>,
    /// What the index shall hold in the end, where it holds names of the old image besides.
    final_index: Option<String>,
}

struct Sidecar {
    suffix: String,
    name: Entry,
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
    Exchanged(Entry),
    /// It is in place, and the file that it replaced is gone.
    Replaced,
}

/// A file of the old image that waits under a temporary name.
struct Kept {
    name: Entry,
    temporary: Entry,
}

impl Sidecars {
    /// Writes a sidecar, which is neither on the disk nor in place then: a copy of `head`, if there
    /// is one, and the content.
    pub(super) fn add(
        &mut self,
        target: &OutputName,
        suffix: &str,
        head: Option<&Steady>,
        content: &[u8],
        permissions: Permissions,
    ) -> Result<(), Failure> {
        let (sidecar, written) = Sidecar::write(target, suffix, head, content, permissions)?;
        // Also a file that is not complete: its temporary is removed with the others.
        self.files.push(sidecar);
        written
    }

    /// Writes the index as it has to be if the old image keeps its sidecars until the turn of
    /// this builder. So it is brought onto the disk together with the other files.
    pub(super) fn foresee_index(
        &mut self,
        target: &OutputName,
        is_sidecar: IsSidecar<'_>,
        permissions: Permissions,
    ) -> Result<(), Failure> {
        if self.files.is_empty() {
            return Ok(());
        }
        let old = old_suffixes(target, is_sidecar)?.unwrap_or_default();
        self.write_index(target, old, permissions)
    }

    /// The files that have to be on the disk before one of them is put in place.
    pub(super) fn unsynced(&self) -> impl Iterator<Item = Unsynced<'_>> {
        self.files.iter().map(Sidecar::unsynced)
    }

    /// Makes sure that the index of these sidecars and of those of the old image comes before
    /// them; returns the suffixes of the old ones.
    pub(super) fn add_index(
        &mut self,
        target: &OutputName,
        is_sidecar: IsSidecar<'_>,
        permissions: Permissions,
    ) -> Result<Vec<String>, Failure> {
        let found = old_suffixes(target, is_sidecar)?;
        if self.files.is_empty() {
            let Some(mut old) = found else { return Ok(Vec::new()) };
            // It goes after the last of them.
            old.push(INDEX_SUFFIX.to_owned());
            return Ok(old);
        }
        let old = found.unwrap_or_default();
        if self.foreseen.as_ref() != Some(&old) {
            // Another builder has put other sidecars in place meanwhile.
            if self.foreseen.take().is_some() {
                self.files.remove(0).temporary.remove();
            }
            self.write_index(target, old.clone(), permissions)?;
            self.files.first().map_or(Ok(()), |index| index.unsynced().sync())?;
        }
        Ok(old)
    }

    fn write_index(
        &mut self,
        target: &OutputName,
        old: Vec<String>,
        permissions: Permissions,
    ) -> Result<(), Failure> {
        let mut new: Vec<_> = self.files.iter().map(|file| file.suffix.clone()).collect();
        new.sort_unstable();
        let mut both = [&*old, &*new].concat();
        both.sort_unstable();
        both.dedup();
        let text = index_text(&both);
        let (index, written) =
            Sidecar::write(target, INDEX_SUFFIX, None, text.as_bytes(), permissions)?;
        self.files.insert(0, index);
        self.foreseen = Some(old);
        self.final_index = (both != new).then(|| index_text(&new));
        written
    }

    /// Takes those names out of the index whose files are removed; the image is in place.
    pub(super) fn finish_index(
        &mut self,
        target: &OutputName,
        permissions: Permissions,
    ) -> Result<(), Failure> {
        let Some(text) = self.final_index.take() else { return Ok(()) };
        replace_index(target, &text, permissions).map_err(|failure| Failure {
            hint: Some("the new image is in place: build again".to_owned()),
            ..failure
        })
    }

    /// Gives every sidecar its name, and those of `old` that no new one replaces a
    /// temporary one. After an error [`take_back`](Self::take_back) restores what was there.
    pub(super) fn put_in_place(
        &mut self,
        target: &OutputName,
        old: Vec<String>,
        permissions: Permissions,
    ) -> Result<(), Failure> {
        for file in &mut self.files {
            file.put_in_place(target, permissions)?;
        }
        for suffix in old {
            if self.files.iter().all(|file| file.suffix != suffix) {
                self.stale.extend(Kept::take_away(target, name_of(target, &suffix))?);
            }
        }
        Ok(())
    }

    /// The temporary names of these files and of those that they replace.
    pub(super) fn temporary_names(&self) -> Vec<Entry> {
        let files = self.files.iter().filter_map(|file| match &file.state {
            State::Exchanged(kept) => Some(kept.clone()),
            State::Written | State::Placed | State::Replaced => file.temporary.name().cloned(),
        });
        files.chain(self.stale.iter().map(|kept| kept.temporary.clone())).collect()
    }

    /// Whether each is still in place, now that the image is: another user's builder may
    /// have been at work.
    pub(super) fn look_again(&self) -> Result<(), Failure> {
        for file in &self.files {
            let reason = match file.name.leads_to(file.temporary.id()) {
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
    pub(super) fn remove_old(&mut self) -> Vec<Failure> {
        let replaced = self.files.iter().filter_map(|file| match &file.state {
            State::Exchanged(kept) => Some((&file.name, kept)),
            State::Written | State::Placed | State::Replaced => None,
        });
        let stale = self.stale.iter().map(|kept| (&kept.name, &kept.temporary));
        let mut failures = Vec::new();
        for (name, kept) in replaced.chain(stale) {
            if let Err(error) = kept.unlink() {
                let message = format!(
                    "cannot remove {}, which was {} of the old image: {}",
                    kept.shown(),
                    report::shown(Path::new(&name.name)),
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
    pub(super) fn take_back(&mut self) -> Vec<String> {
        let mut lost = Vec::new();
        for kept in self.stale.drain(..).rev() {
            if !kept.put_back() {
                let (name, place) = (kept.name.shown(), kept.temporary.shown());
                lost.push(format!("{name} is called {place} now"));
            }
        }
        for file in self.files.iter_mut().rev() {
            lost.extend(file.take_back());
            file.temporary.remove();
        }
        lost
    }
}

/// The suffixes of the old image's sidecars; none where it has no index.
///
/// Those are regular files of any owner, as an earlier build may have given them to somebody
/// else. A file with a second name elsewhere counts too: left here it would be taken for a
/// sidecar of the new image, and its other name keeps it.
fn old_suffixes(
    target: &OutputName,
    is_sidecar: IsSidecar<'_>,
) -> Result<Option<Vec<String>>, Failure> {
    let failure = |error| target.subject.failure("look for files of an old image beside", error);
    let index = name_of(target, INDEX_SUFFIX);
    let opened = index.open(OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
    let Some(index) = index::listed(opened, is_sidecar).map_err(failure)? else {
        return Ok(None);
    };
    let mut old = Vec::new();
    for suffix in index.suffixes {
        let seen = name_of(target, &suffix).stat().map_err(|error| failure(error.into()))?;
        let kind = seen.map(|seen| FileType::from_raw_mode(seen.st_mode));
        if kind == Some(FileType::RegularFile) {
            old.push(suffix);
        }
    }
    Ok(Some(old))
}

/// Puts an index in the place of the one that is there.
fn replace_index(target: &OutputName, text: &str, permissions: Permissions) -> Result<(), Failure> {
    let (mut index, written) =
        Sidecar::write(target, INDEX_SUFFIX, None, text.as_bytes(), permissions)?;
    let replaced = written.and_then(|()| index.unsynced().sync()).and_then(|()| {
        let own = index.temporary.take_any_name(target, &mut index.file, permissions)?;
        match own.rename(&index.name) {
            Err(error) if index.name.leads_to(index.temporary.id()) != Ok(true) => {
                Err(index.subject.failure("replace", error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    });
    match replaced {
        Ok(()) => drop(index.temporary.forget()),
        Err(_) => index.temporary.remove(),
    }
    replaced
}

/// Copies the whole of `from` to the offset of `to`, which is behind it then.
fn copy(from: &Steady, to: &File, subject: &Subject) -> Result<(), Failure> {
    let to = to.try_clone().map_err(|error| subject.failure("write", error))?;
    let mut sink = Buffered::new(to, subject.clone());
    from.copy_to(&mut sink)?;
    sink.spill()
}

/// The name of the sidecar `IMAGE.SUFFIX`.
fn name_of(target: &OutputName, suffix: &str) -> Entry {
    let name = [target.entry.name.as_bytes(), b".", suffix.as_bytes()].concat();
    target.beside(OsString::from_vec(name))
}

impl Sidecar {
    /// Writes a sidecar. The outer error means that no file was begun, the inner one that the
    /// file which is returned is not complete.
    fn write(
        target: &OutputName,
        suffix: &str,
        head: Option<&Steady>,
        content: &[u8],
        permissions: Permissions,
    ) -> Result<(Self, Result<(), Failure>), Failure> {
        let name = name_of(target, suffix);
        // Beside the image, as messages call that.
        let shown = format!("{}.{}", target.subject.shown, report::shown(Path::new(suffix)));
        let subject = Subject { shown, hint: target.subject.hint };
        replaceable(&subject, &name)?;
        let (mut file, temporary) = Temporary::create(target, None)?;
        let to_failure = |error: std::io::Error| subject.failure("write", error);
        let copied = head.map_or(Ok(()), |head| copy(head, &file, &subject));
        let written = copied.and_then(|()| file.write_all(content).map_err(to_failure));
        let written = written.and_then(|()| {
            widen(&file, permissions).map_err(|error| no_access(&subject, error, permissions))
        });
        let (suffix, state) = (suffix.to_owned(), State::Written);
        Ok((Self { suffix, name, temporary, subject, state, file }, written))
    }

    fn unsynced(&self) -> Unsynced<'_> {
        Unsynced { file: &self.file, subject: &self.subject }
    }

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
    fn replace(&self, target: &OutputName, own: &Entry) -> Result<State, Errno> {
        match own.rename_with(&self.name, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(State::Exchanged(own.clone())),
            // The file system cannot do it, as NFS: a second name keeps what is replaced.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(_) if self.name.leads_to(self.temporary.id())? => {
                return Ok(State::Exchanged(own.clone()));
            }
            Err(error) => return Err(error),
        }
        // The file's own temporary name keeps the private directory from being removed.
        let kept = private_directory::fresh_name(target, 0)?;
        let linked = self.name.link(&kept);
        let is_kept = linked.is_ok() || matches!(kept.stat(), Ok(Some(_)));
        if let Err(error) = own.rename(&self.name)
            && !self.name.leads_to(self.temporary.id())?
        {
            if is_kept {
                temporary::remove(&kept);
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
    fn take_back(&mut self) -> Option<String> {
        // A file that somebody else has put there meanwhile is left alone.
        let is_there = |it: &Self| it.name.leads_to(it.temporary.id());
        let stays = format!("{} is of the new build", self.subject.shown);
        match std::mem::replace(&mut self.state, State::Written) {
            State::Written => None,
            State::Replaced => Some(stays),
            State::Placed => {
                let is_gone =
                    is_there(self).is_ok_and(|is_there| !is_there || self.name.unlink().is_ok());
                (!is_gone).then_some(stays)
            }
            State::Exchanged(kept) => {
                let is_back = kept.rename(&self.name).is_ok();
                let place = kept.shown();
                (!is_back && is_there(self) != Ok(false))
                    .then(|| format!("{stays} while what it replaced is called {place} now"))
            }
        }
    }
}

impl Kept {
    /// Gives a file of the old image a temporary name; none where it is gone already.
    fn take_away(target: &OutputName, name: Entry) -> Result<Option<Self>, Failure> {
        /// How often another builder may remove the private directory.
        const ATTEMPTS: usize = 32;
        let failure = |error: Errno| {
            let shown = name.shown();
            let reason = report::reason(&error.into());
            let message = format!("cannot remove {shown} of the old image: {reason}");
            let failure = Failure::new(Exit::Output, message);
            failure.hint(target.subject.hint.unwrap_or("nothing is replaced"))
        };
        for attempt in 0..ATTEMPTS {
            let temporary = private_directory::fresh_name(target, attempt).map_err(failure)?;
            if let Err(error) = name.rename(&temporary) {
                match temporary.stat() {
                    // The rename was done in spite of its error.
                    Ok(Some(_)) => {}
                    Ok(None) if private_directory::is_lost(target, &temporary, error) => continue,
                    Ok(None) if error == Errno::NOENT => return Ok(None),
                    Ok(None) | Err(_) => return Err(failure(error)),
                }
            }
            return Ok(Some(Self { name, temporary }));
        }
        Err(failure(Errno::NOENT))
    }

    /// Gives the file its name back; false where it keeps the temporary one.
    fn put_back(&self) -> bool {
        self.temporary.rename(&self.name).is_ok() || matches!(self.temporary.stat(), Ok(None))
    }
}
