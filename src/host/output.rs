//! Where the image goes: a private temporary file beside the target that takes
//! the target's name when it is complete, a stream, or memory. The files that
//! belong to an image, its sidecars, come and go with it.
//!
//! Invariant: at every instant the output path holds the complete old image or
//! the complete new one. The temporary is 0600 under any umask, is locked while
//! its builder lives, and every step is relative to one descriptor of the
//! target's directory: if that is renamed, everything still happens inside it.
//! Invariant: after a call has failed, what is said and done depends on the file that is
//! found at the name. A network file system may report an error for what it has done.

mod access;
mod acl;
mod buffered;
mod directory;
mod durable;
mod extracted;
mod finished;
mod index;
mod leftovers;
mod lock;
mod memory;
mod names;
mod once;
mod output_name;
mod permissions;
mod private_directory;
mod sidecars;
mod stream;
mod temporary;
mod together;
mod turn;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use credimg_formats::Sink;
use rustix::io::{Errno, retry_on_intr};

use crate::host::signals;
use crate::host::steady::Steady;
use crate::report::{self, Exit, Failure};
pub use access::{Access, Excess};
use buffered::Buffered;
pub use directory::{DirectoryPermissions, MachineDirectory, common_directory, machine_directory};
use durable::{Unsynced, sync_directory};
pub use extracted::{Attributes, Content, DirectoryId, Extracted, LinkTarget, Node, Replacing};
use finished::Finished;
pub use index::{INDEX_SUFFIX, Index, index_text, read_index};
pub use memory::{MemoryFile, SealedFile};
pub use names::is_temporary_name;
pub use once::{create_once, finish_once};
use output_name::{OutputName, There};
pub use permissions::Permissions;
use permissions::{no_access, widen};
use sidecars::Sidecars;
pub use stream::{Stdout, StreamOutput, hand_over, require_reader, to_stdout};
use temporary::Temporary;
pub use together::{Complete, KeptFile, commit_all, sync_directory_at};

/// Tells from the suffix whether `IMAGE.SUFFIX` is a sidecar.
pub type IsSidecar<'a> = &'a dyn Fn(&[u8]) -> bool;

/// An image in the making. Dropped without [`commit`](Self::commit), it leaves
/// no trace and the old image as it was, with its sidecars.
pub struct OutputFile {
    sidecars: Sidecars,
    target: OutputName,
    temporary: Temporary,
    permissions: Permissions,
    sink: Buffered,
    state: State,
}

/// How far an image has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The new image has not taken its name: the old one, if there is one, is in place.
    Pending,
    /// The new image has taken its name.
    InPlace,
    /// After an error of the file system it is not known whether the image has taken its
    /// name, or not everything could be undone. Nothing is cleaned up.
    Unknown,
}

impl OutputFile {
    /// Refuses what [`create`](Self::create) would refuse, so that nothing is
    /// read or run in vain; tells whether there is an old image.
    pub fn check(path: &Path) -> Result<bool, Failure> {
        Ok(OutputName::open(path)?.subject.hint.is_some())
    }

    /// Opens a temporary file beside `path`.
    ///
    /// A directory, FIFO, socket or device at `path` is refused; a symbolic
    /// link will be replaced, never followed. All errors are of [`Exit::Output`].
    pub fn create(path: &Path, permissions: Permissions) -> Result<Self, Failure> {
        let target = OutputName::open(path)?;
        let (file, temporary) = if crate::host::KEEPS_PROMISES {
            Temporary::create(&target, Some(permissions))?
        } else {
            Temporary::none(&target)?
        };
        let sink = Buffered::new(file, target.subject.clone());
        let sidecars = Sidecars::default();
        let state = if crate::host::KEEPS_PROMISES { State::Pending } else { State::InPlace };
        Ok(Self { sidecars, target, temporary, permissions, sink, state })
    }

    /// Writes the sidecar `IMAGE.SUFFIX` into a temporary of its own and onto
    /// the disk; it gets the image's owner and mode. Errors as of [`create`](Self::create).
    pub fn add_sidecar(&mut self, suffix: &str, content: &[u8]) -> Result<(), Failure> {
        self.sidecars.add(&self.target, suffix, None, content, self.permissions)
    }

    /// Writes a sidecar that begins with a copy of `head`, which the kernel makes where it can.
    /// Errors as of [`add_sidecar`](Self::add_sidecar), and of exit code 4 for a file that has
    /// changed since it was opened.
    pub(crate) fn add_sidecar_behind(
        &mut self,
        suffix: &str,
        head: &Steady,
        content: &[u8],
    ) -> Result<(), Failure> {
        self.sidecars.add(&self.target, suffix, Some(head), content, self.permissions)
    }

    /// Writes out what is still in memory, once the file is complete: it may wait for others that
    /// are put in place together with it, and memory holds nothing of it meanwhile.
    pub fn complete(&mut self) -> Result<(), Failure> {
        self.sink.spill()?;
        self.sink.forget();
        Ok(())
    }

    /// What is written so far, to be read. Errors are of [`Exit::Output`] and of
    /// [`Exit::Interrupted`].
    pub fn reread(&mut self) -> Result<File, Failure> {
        self.sink.reread()
    }

    /// Puts a file that has no sidecars in place, and removes what killed builders of its
    /// path left there. When this returns `Ok`, the file and its name are on the disk.
    ///
    /// Errors are of [`Exit::Output`], or of [`Exit::Interrupted`] where a
    /// signal came before the file was in place.
    pub fn commit(self) -> Result<(), Failure> {
        self.commit_beside(None)
    }

    /// Puts the image in place, and removes what killed builders of its path left
    /// there. When this returns `Ok`, the image and its name are on the disk, and so are
    /// its sidecars, and no others: `is_sidecar` tells from its suffix whether
    /// `IMAGE.SUFFIX` is one, and those that an earlier image had are removed.
    ///
    /// Everything is complete and on the disk before the first name changes; the
    /// image's is the last. An error takes back what was changed. A crash of the
    /// machine, or SIGKILL, between two names leaves each file whole, the old one
    /// or the new one, under an old image. Nothing of the image depends on a sidecar:
    /// each credential is one of the two builds', but one that changed its
    /// channel may be missing or twice until the next build.
    ///
    /// Errors are of [`Exit::Output`], or of [`Exit::Interrupted`] where a
    /// signal came before the image was in place.
    pub fn commit_with_sidecars(self, is_sidecar: &dyn Fn(&[u8]) -> bool) -> Result<(), Failure> {
        self.commit_beside(Some(is_sidecar))
    }

    fn commit_beside(mut self, is_sidecar: Option<IsSidecar<'_>>) -> Result<(), Failure> {
        if !crate::host::KEEPS_PROMISES {
            return self.sink.spill();
        }
        let placed = self
            .prepare(is_sidecar)
            .and_then(|()| self.unsynced().try_for_each(|file| file.sync()))
            .and_then(|()| self.place(is_sidecar));
        match self.settle(placed) {
            Ok(mut finished) => {
                finished.synced(sync_directory(&self.target.folder().fd));
                finished.outcome()
            }
            Err(failure) => Err(failure),
        }
    }

    /// The first phase: everything is written and has its owner and mode. The disk need not
    /// have it yet.
    fn prepare(&mut self, is_sidecar: Option<IsSidecar<'_>>) -> Result<(), Failure> {
        // The buffer may hold a key, and it may take long until the file is on the disk.
        self.complete()?;
        let subject = &self.target.subject;
        widen(self.sink.file(), self.permissions)
            .map_err(|error| no_access(subject, error, self.permissions))?;
        is_sidecar.map_or(Ok(()), |is_sidecar| {
            self.sidecars.foresee_index(&self.target, is_sidecar, self.permissions)
        })
    }

    /// The files that have to be on the disk before [`place`](Self::place), sidecars first.
    fn unsynced(&self) -> impl Iterator<Item = Unsynced<'_>> {
        let image = Unsynced { file: self.sink.file(), subject: &self.target.subject };
        self.sidecars.unsynced().chain(std::iter::once(image))
    }

    /// The second phase: puts sidecars and image in place, in the turn of this builder.
    fn place(&mut self, is_sidecar: Option<IsSidecar<'_>>) -> Result<(), Failure> {
        signals::check()?;
        turn::take(&self.target, self.sink.file_mut(), &mut self.temporary, self.permissions)?;
        if let Some(is_sidecar) = is_sidecar {
            let old = self.sidecars.add_index(&self.target, is_sidecar, self.permissions)?;
            signals::check()?;
            self.sidecars.put_in_place(&self.target, old, self.permissions)?;
        }
        self.replace()
    }

    /// The third phase, which needs the outcome of the ones before: cleans up behind an image
    /// that is in place, of which the names have to be brought onto the disk then. An image that
    /// is not in place is taken back, which is an error.
    fn settle(&mut self, placed: Result<(), Failure>) -> Result<Finished, Failure> {
        match self.state {
            State::Pending => {
                let lost = self.take_back();
                if !lost.is_empty() {
                    // Files of the old image may still have temporary names. They are not to
                    // be cleaned up as leftovers: the old image needs them.
                    self.state = State::Unknown;
                }
                let failure = placed.err().unwrap_or_else(|| Failure::bug(": nothing was placed"));
                Err(self.with_lost(failure, &lost))
            }
            State::InPlace => Ok(self.finish(placed)),
            State::Unknown => {
                Err(placed.err().unwrap_or_else(|| Failure::bug(": an outcome is not known")))
            }
        }
    }

    /// Cleans up behind the image, which is in place.
    fn finish(&mut self, placed: Result<(), Failure>) -> Finished {
        let looked = self.sidecars.look_again();
        let own = self.sidecars.temporary_names();
        let not_removed = self.sidecars.remove_old();
        let indexed = if placed.is_ok() && looked.is_ok() {
            self.sidecars.finish_index(&self.target, self.permissions)
        } else {
            Ok(())
        };
        if placed.is_ok() {
            leftovers::remove(&self.target, &own, self.permissions);
        } else {
            private_directory::tidy(&self.target);
        }
        // The next builder of this path may go on while this one waits for the disk.
        lock::release(self.sink.file());
        let failures = [placed, looked, indexed].into_iter().filter_map(Result::err).collect();
        Finished::new(&self.target, failures, not_removed)
    }

    /// Gives the image its name, and looks whether it has it.
    fn replace(&mut self) -> Result<(), Failure> {
        let OutputName { entry, subject, .. } = &self.target;
        let file = self.temporary.id();
        let Some(temporary) = self.temporary.name() else {
            return Err(subject.refusal("replace", "its temporary has no name"));
        };
        let renamed = temporary.rename(entry);
        let reason = |error: Errno| report::reason(&error.into());
        let outcome = match (renamed, self.target.there(file)) {
            (Ok(()), Ok(There::New)) => Ok(()),
            (Err(_), Ok(There::New)) => {
                // The rename was done in spite of its error; the temporary name may be left.
                if let Ok(true) = temporary.leads_to(file) {
                    self.temporary.remove();
                }
                Ok(())
            }
            (Err(error), Ok(There::Old)) => return Err(subject.failure("replace", error)),
            (Err(error), Ok(There::Other)) => {
                let failure = subject.failure("replace", error);
                return Err(failure.hint("another file than the old image is there now"));
            }
            (Ok(()), Ok(There::Old | There::Other)) => Err(subject
                .refusal("find", "another file has taken its place since")
                .hint("the new image was in place for an instant only: see who replaced it")),
            (Ok(()), Err(error)) => Err(subject
                .refusal("look at", &reason(error))
                .hint("the new image was put in place, but it may be another one by now")),
            (Err(error), Err(second)) => {
                self.state = State::Unknown;
                self.temporary.forget();
                let both = format!("{}, and then {}", reason(error), reason(second));
                let hint = "whether the old image or the new one is in place is not known: build \
                            again";
                return Err(subject.refusal("replace", &both).hint(hint));
            }
        };
        self.state = State::InPlace;
        self.temporary.forget();
        outcome
    }

    /// Puts the old image's files back under their names; returns, as texts, what could not be
    /// undone.
    fn take_back(&mut self) -> Vec<String> {
        let lost = self.sidecars.take_back();
        self.temporary.remove();
        lost
    }

    /// Adds to an error which files beside the old image are missing or are the new one's.
    fn with_lost(&self, failure: Failure, lost: &[String]) -> Failure {
        if lost.is_empty() {
            return failure;
        }
        let image =
            self.target.subject.hint.map_or("there is no image", |_| "the image is the old one");
        failure.hint(format!("{image}, but {}: build again", lost.join(", and ")))
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.state == State::Pending {
            let lost = self.take_back();
            if lost.is_empty() {
                leftovers::remove(&self.target, &[], self.permissions);
            }
            for lost in lost {
                report::warn(&lost);
            }
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Sink for OutputFile {
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.sink.rewrite(back_bytes, bytes)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.sink.write_zeros(length_bytes)
    }

    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        self.sink.copy_from_file(file, length_bytes)
    }
}

/// Makes sure that the finished `image` and its name, which is `path`, are on
/// the disk, as [`OutputFile::commit`] does, after removing what killed builders
/// left beside it. Errors are of [`Exit::Output`].
pub fn sync(path: &Path, image: &File, permissions: Permissions) -> Result<(), Failure> {
    let target = OutputName::open(path)?;
    leftovers::remove(&target, &[], permissions);
    let OutputName { entry, subject, .. } = target;
    retry_on_intr(|| rustix::fs::fsync(image))
        .and_then(|()| sync_directory(&entry.folder.fd))
        .map_err(|error| subject.failure("write", error))
}

/// What messages say of the thing that is written.
#[derive(Clone)]
struct Subject {
    shown: String,
    hint: Option<&'static str>,
}

impl Subject {
    fn failure(&self, operation: &str, error: impl Into<io::Error>) -> Failure {
        self.refusal(operation, &report::reason(&error.into()))
    }

    fn refusal(&self, operation: &str, reason: &str) -> Failure {
        let message = format!("cannot {operation} {}: {reason}", self.shown);
        Failure { exit: Exit::Output, message, hint: self.hint.map(str::to_owned) }
    }
}
