//! Several outputs that are put in place together, so that all of them wait for the disk once.
//!
//! Invariant: the bytes of all are on the disk before the first name changes, and all names are
//! when the call returns. Whatever ends it in between, each output is as if it had been
//! alone: its old file or its new one, and its image is the last of its set.
//! Invariant: at most one turn is held at a time, so that two builders of several outputs never
//! wait for each other.

use std::fs::File;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::retry_on_intr;

use super::directory::MachineDirectory;
use super::durable::{Unsynced, sync_directory, sync_files};
use super::output_name::{Folder, Id, OutputName};
use super::{Finished, IsSidecar, OutputFile, Permissions, leftovers};
use crate::host::KEEPS_PROMISES;
use crate::report::{self, Exit, Failure};

/// An output of which nothing is left to be made.
pub enum Complete {
    /// A new image.
    New(Box<OutputFile>),
    /// An image that stays as it is.
    Kept(KeptFile),
}

impl Complete {
    fn folder(&self) -> &Rc<Folder> {
        match self {
            Self::New(file) => file.target.folder(),
            Self::Kept(kept) => kept.target.folder(),
        }
    }

    /// The path of its directory.
    pub fn directory(&self) -> &Path {
        &self.folder().path
    }

    /// An error of [`Exit::Policy`] where it is not in this directory, whose name somebody has given
    /// to another one meanwhile.
    pub fn require_in(&self, directory: &MachineDirectory) -> Result<(), Failure> {
        let folder = self.folder();
        let found = rustix::fs::fstat(&folder.fd).ok().map(|found| Id::from(&found));
        if found == Some(directory.id) {
            return Ok(());
        }
        let path = report::shown(&folder.path);
        let message = format!("the directory {path} was exchanged while the image was made");
        let hint = "who runs a machine must not be able to rename directories beside its own";
        Err(Failure::new(Exit::Policy, message).hint(hint))
    }
}

/// A file that stays as it is.
pub struct KeptFile {
    file: File,
    target: OutputName,
    permissions: Permissions,
}

impl KeptFile {
    /// The `file`, which lies at `path`; what it was made with. Errors are of
    /// [`crate::report::Exit::Output`].
    pub fn new(path: &Path, file: File, permissions: Permissions) -> Result<Self, Failure> {
        Ok(Self { file, target: OutputName::open(path)?, permissions })
    }
}

/// Puts each output in its place; returns what came of each. The failure of one does not concern
/// the others. After a signal what is not in place yet is taken back.
///
/// A new image is treated as [`OutputFile::commit_with_sidecars`] treats one alone, or without
/// `is_sidecar` as [`OutputFile::commit`] does. One that is kept is brought onto the disk.
pub fn commit_all(
    outputs: Vec<Complete>,
    is_sidecar: Option<IsSidecar<'_>>,
) -> Vec<Result<(), Failure>> {
    let begin = |output| UnderWay::begin(output, is_sidecar);
    let mut all: Vec<_> = outputs.into_iter().map(begin).collect();
    write_through(&mut all);
    for one in &mut all {
        one.place(is_sidecar);
    }
    if KEEPS_PROMISES {
        sync_names(&mut all);
    }
    all.into_iter().map(UnderWay::outcome).collect()
}

/// Brings onto the disk the names of what was made in the directory at `path`.
pub fn sync_directory_at(path: &Path) -> Result<(), Failure> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = retry_on_intr(|| openat(CWD, path, flags, Mode::empty()));
    directory.and_then(|directory| sync_directory(&directory)).map_err(|error| {
        let (shown, reason) = (report::shown(path), report::reason(&error.into()));
        let message = format!("cannot write the directory {shown} to the disk: {reason}");
        Failure::new(Exit::Output, message)
    })
}

/// An output on its way into its place.
struct UnderWay {
    output: Complete,
    state: State,
}

/// How far it has come.
enum State {
    /// No name has changed.
    Ready,
    /// It is in place, and its names may not be on the disk.
    Placed(Finished),
    /// Nothing of it is in place.
    Failed(Failure),
}

impl UnderWay {
    fn begin(output: Complete, is_sidecar: Option<IsSidecar<'_>>) -> Self {
        let mut one = Self { output, state: State::Ready };
        let prepared = match &mut one.output {
            Complete::New(file) if KEEPS_PROMISES => file.prepare(is_sidecar),
            Complete::New(file) => {
                let spilt = file.sink.spill();
                one.settle(spilt);
                return one;
            }
            Complete::Kept(kept) => {
                leftovers::remove(&kept.target, &[], kept.permissions);
                Ok(())
            }
        };
        if prepared.is_err() {
            one.settle(prepared);
        }
        one
    }

    fn place(&mut self, is_sidecar: Option<IsSidecar<'_>>) {
        match self.state {
            State::Ready => {}
            State::Placed(_) | State::Failed(_) => return,
        }
        let placed = match &mut self.output {
            Complete::New(file) => file.place(is_sidecar),
            Complete::Kept(_) => Ok(()),
        };
        self.settle(placed);
    }

    fn settle(&mut self, placed: Result<(), Failure>) {
        let settled = match &mut self.output {
            Complete::New(file) => file.settle(placed),
            Complete::Kept(kept) => placed.map(|()| Finished::of_kept(&kept.target)),
        };
        self.state = settled.map_or_else(State::Failed, State::Placed);
    }

    /// What has to be on the disk before any name changes.
    fn unsynced(&self) -> Vec<Unsynced<'_>> {
        match (&self.state, &self.output) {
            (State::Ready, Complete::New(file)) => file.unsynced().collect(),
            (State::Ready, Complete::Kept(kept)) => {
                vec![Unsynced { file: &kept.file, subject: &kept.target.subject }]
            }
            (State::Placed(_) | State::Failed(_), Complete::New(_) | Complete::Kept(_)) => {
                Vec::new()
            }
        }
    }

    fn outcome(self) -> Result<(), Failure> {
        match self.state {
            State::Ready => Err(Failure::bug(": an output was forgotten")),
            State::Placed(finished) => finished.outcome(),
            State::Failed(failure) => Err(failure),
        }
    }
}

/// Waits until the content of all is on the disk.
fn write_through(all: &mut [UnderWay]) {
    let files: Vec<_> = all.iter().map(UnderWay::unsynced).collect();
    let descriptors: Vec<_> = files.iter().flatten().map(|unsynced| unsynced.file).collect();
    let outcomes = sync_files(&descriptors);
    let mut outcomes = outcomes.into_iter();
    let mut failures = Vec::with_capacity(files.len());
    for files in &files {
        // All of them are taken, so that the next output has its own.
        let failed: Vec<_> = files.iter().zip(outcomes.by_ref()).collect();
        let failed = failed.into_iter().find_map(|(file, outcome)| Some((file, outcome.err()?)));
        failures.push(failed.map(|(file, error)| file.failure(error)));
    }
    drop(files);
    for (one, failure) in all.iter_mut().zip(failures) {
        if let Some(failure) = failure {
            one.settle(Err(failure));
        }
    }
}

/// Waits until the names of all that are in place are on the disk: each directory once.
fn sync_names(all: &mut [UnderWay]) {
    let mut folders: Vec<(Option<Id>, Rc<Folder>)> = Vec::new();
    let mut places = Vec::new();
    for one in all.iter() {
        let place = match &one.state {
            State::Ready | State::Failed(_) => None,
            State::Placed(_) => {
                let folder = one.output.folder();
                let id = rustix::fs::fstat(&folder.fd).ok().map(|found| Id::from(&found));
                let is_same = |(known, other): &(Option<Id>, Rc<Folder>)| {
                    Rc::ptr_eq(folder, other) || id.is_some() && id == *known
                };
                Some(folders.iter().position(is_same).unwrap_or_else(|| {
                    folders.push((id, Rc::clone(folder)));
                    folders.len() - 1
                }))
            }
        };
        places.push(place);
    }
    let outcomes: Vec<_> = folders.iter().map(|(_, folder)| sync_directory(&folder.fd)).collect();
    for (one, place) in all.iter_mut().zip(places) {
        if let (State::Placed(finished), Some(outcome)) =
            (&mut one.state, place.and_then(|place| outcomes.get(place)))
        {
            finished.synced(*outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::collections::BTreeMap;
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;

    /// The image `number`, with these sidecars, of which each holds its content.
    fn output(path: &Path, content: &str, suffixes: &[&str]) -> OutputFile {
        let mut file = OutputFile::create(path, Permissions::default()).unwrap();
        for suffix in suffixes {
            file.add_sidecar(suffix, content.as_bytes()).unwrap();
        }
        file.write_all(content.as_bytes()).unwrap();
        file
    }

    fn commit(outputs: Vec<OutputFile>) -> Vec<Result<(), Failure>> {
        let outputs = outputs.into_iter().map(|file| Complete::New(Box::new(file))).collect();
        commit_all(outputs, Some(&|suffix| suffix.len() == 1))
    }

    /// What lies in the directory.
    fn files(directory: &Path) -> BTreeMap<String, String> {
        let files = fs::read_dir(directory).unwrap().map(|entry| {
            let entry = entry.unwrap();
            let content = if entry.file_type().unwrap().is_dir() {
                "a directory".to_owned()
            } else {
                fs::read_to_string(entry.path()).unwrap()
            };
            (entry.file_name().into_string().unwrap(), content)
        });
        files.collect()
    }

    fn expected(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
    }

    /// Of a dozen images, in one directory and in directories of their own, one cannot take its
    /// name.
    #[test]
    fn the_failure_of_one_output_leaves_the_others() {
        let host = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..12)
            .map(|number| {
                host.path().join(if number < 6 { "all".into() } else { format!("{number}") })
            })
            .enumerate()
            .map(|(number, directory)| {
                fs::create_dir_all(&directory).unwrap();
                directory.join(format!("{number}"))
            })
            .collect();
        let old = paths.iter().map(|path| output(path, "old", &["a", "b"])).collect();
        assert!(commit(old).iter().all(Result::is_ok));
        let new = paths.iter().map(|path| output(path, "new", &["b", "c"])).collect();
        // Somebody puts a directory in the place of an image.
        let taken = host.path().join("9/9");
        fs::remove_file(&taken).and_then(|()| fs::create_dir(&taken)).unwrap();
        let outcomes = commit(new);
        for (number, outcome) in outcomes.iter().enumerate() {
            assert_eq!(outcome.is_err(), number == 9, "{number}: {outcome:?}");
        }
        let index = ("7.sidecars", "b\nc\n");
        let new = [("7", "new"), ("7.b", "new"), ("7.c", "new"), index];
        assert_eq!(files(&host.path().join("7")), expected(&new));
        let old = [("9", "a directory"), ("9.a", "old"), ("9.b", "old"), ("9.sidecars", "a\nb\n")];
        assert_eq!(files(&host.path().join("9")), expected(&old));
        assert_eq!(files(&host.path().join("all")).len(), 6 * 4);
    }

    /// The index is written before the turn, and another builder may have had its own since.
    #[test]
    fn an_index_that_was_written_too_early_is_written_again() {
        let host = tempfile::tempdir().unwrap();
        let path = host.path().join("i");
        let mut first = output(&path, "first", &["a", "b"]);
        let is_sidecar: IsSidecar<'_> = &|suffix| suffix.len() == 1;
        first.prepare(Some(is_sidecar)).unwrap();
        output(&path, "second", &["b", "c"]).commit_with_sidecars(is_sidecar).unwrap();
        let placed = first.place(Some(is_sidecar));
        // A kill in between would leave what the second builder has put there.
        assert_eq!(fs::read_to_string(host.path().join("i.sidecars")).unwrap(), "a\nb\nc\n");
        first.settle(placed).unwrap().outcome().unwrap();
        drop(first);
        let left = [("i", "first"), ("i.a", "first"), ("i.b", "first"), ("i.sidecars", "a\nb\n")];
        assert_eq!(files(host.path()), expected(&left));
    }

    #[test]
    fn a_file_that_is_kept_stays_among_new_ones() {
        let host = tempfile::tempdir().unwrap();
        let (kept, new) = (host.path().join("kept"), host.path().join("new"));
        fs::write(&kept, "kept").unwrap();
        let file = File::open(&kept).unwrap();
        let file = KeptFile::new(&kept, file, Permissions::default()).unwrap();
        let new = output(&new, "new", &[]);
        let outputs = vec![Complete::Kept(file), Complete::New(Box::new(new))];
        assert!(commit_all(outputs, None).iter().all(Result::is_ok));
        assert_eq!(files(host.path()), expected(&[("kept", "kept"), ("new", "new")]));
    }
}
