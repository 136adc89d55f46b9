//! Images that are complete and wait to be put in place together.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::progress::Progress;
use super::report::Told;
use super::run::Built;
use crate::delivery::sidecar;
use crate::host::output::{self, Complete, MachineDirectory};
use crate::job::depfile::Dependencies;
use crate::report::Failure;

/// A batch is put in place when it has this many images, or this many bytes of them.
const IMAGES_MAX: usize = 64;
const BYTES_MAX: u64 = 64 << 20;
/// An image waits no longer than this for the next one. What slow commands have printed would be
/// lost if the run were killed meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many open files all batches together may have. A process may usually have 1,024.
const FILES_MAX: u64 = 512;
/// How many open files are left to each worker while it makes an image, and to the process itself.
const FILES_BESIDE: u64 = 16;

/// A complete image, with what is told once it is in place.
pub(super) struct Waiting {
    complete: Complete,
    rest: Rest,
}

/// What belongs to a waiting image, besides its file.
struct Rest {
    /// The machine's place in the order.
    place: usize,
    told: Told,
    warnings: Vec<String>,
    dependencies: Dependencies,
    /// Directories that got a new subdirectory for this image. Their entries have to reach the
    /// disk, too.
    made_in: Vec<PathBuf>,
    /// The image's own directory with its path, if no other machine has it.
    directory: Option<(PathBuf, MachineDirectory)>,
}

impl Waiting {
    pub(super) fn new(place: usize, warnings: Vec<String>, built: Built) -> Self {
        let Built { complete, told, dependencies, made_in, directory } = built;
        let directory = directory.map(|it| (complete.directory().to_owned(), it));
        let rest = Rest { place, told, warnings, dependencies, made_in, directory };
        Self { complete, rest }
    }
}

/// Images that are put in place together.
pub(super) struct Batch {
    waiting: Vec<Waiting>,
    size_bytes: u64,
    files: usize,
    files_max: usize,
    /// When the first of them was complete.
    begun: Option<Instant>,
}

impl Batch {
    /// An empty batch for one of `workers`, which share the number of open files.
    pub(super) fn of_workers(workers: usize) -> Self {
        let workers = u64::try_from(workers).unwrap_or(u64::MAX);
        let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let beside = workers.saturating_add(1).saturating_mul(FILES_BESIDE);
        let free = allowed.saturating_sub(beside).min(FILES_MAX);
        let files_max = free.checked_div(workers).unwrap_or(free);
        let files_max = usize::try_from(files_max).unwrap_or(usize::MAX);
        Self { waiting: Vec::new(), size_bytes: 0, files: 0, files_max, begun: None }
    }

    pub(super) fn add(&mut self, waiting: Waiting) {
        let told = &waiting.rest.told;
        self.size_bytes = self.size_bytes.saturating_add(told.size_bytes);
        // Four are for the image, its directory, the private directory and the index of the
        // sidecars.
        self.files += 4 + told.sidecars.len();
        self.begun.get_or_insert_with(Instant::now);
        self.waiting.push(waiting);
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= IMAGES_MAX
            || self.size_bytes >= BYTES_MAX
            || self.files >= self.files_max
            || self.begun.is_some_and(|begun| begun.elapsed() >= PATIENCE)
    }

    /// Puts all images in place, and notes what came of each once it is on the disk.
    pub(super) fn settle(&mut self, progress: &Progress) {
        let waiting = std::mem::take(&mut self.waiting);
        (self.size_bytes, self.files, self.begun) = (0, 0, None);
        let (images, rest): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|it| (it.complete, it.rest)).unzip();
        let mut outcomes = output::commit_all(images, Some(&sidecar::is_suffix));
        sync_made(&rest, &mut outcomes);
        put_depfiles(&rest, &mut outcomes);
        progress.settle(rest.len());
        for (Rest { place, told, warnings, .. }, outcome) in rest.into_iter().zip(outcomes) {
            progress.note(place, warnings, outcome.map(|()| told));
        }
    }
}

/// Syncs the directories that got new subdirectories.
fn sync_made(rest: &[Rest], outcomes: &mut [Result<(), Failure>]) {
    let mut directories: Vec<&Path> =
        rest.iter().flat_map(|it| &it.made_in).map(PathBuf::as_path).collect();
    directories.sort_unstable();
    directories.dedup();
    for directory in directories {
        let Err(failure) = output::sync_directory_at(directory) else { continue };
        for (it, outcome) in rest.iter().zip(outcomes.iter_mut()) {
            if outcome.is_ok() && it.made_in.iter().any(|made_in| made_in == directory) {
                *outcome = Err(failure.clone());
            }
        }
    }
}

/// Puts in place the dependency files of the images that are in place.
fn put_depfiles(rest: &[Rest], outcomes: &mut [Result<(), Failure>]) {
    let (mut owners, mut files) = (Vec::new(), Vec::new());
    for (it, outcome) in rest.iter().zip(outcomes.iter_mut()).filter(|(_, it)| it.is_ok()) {
        let written = it.dependencies.write().map(|it| it.map(|it| Complete::New(Box::new(it))));
        let written = written.and_then(|file| {
            let beside = file.as_ref().zip(it.directory.as_ref());
            match beside.filter(|(file, (path, _))| file.directory() == path) {
                Some((file, (_, directory))) => file.require_in(directory),
                None => Ok(()),
            }?;
            Ok(file)
        });
        match written {
            Ok(file) => {
                files.extend(file);
                owners.extend(it.dependencies.are_wanted().then_some(outcome));
            }
            Err(failure) => *outcome = Err(failure),
        }
    }
    for (owner, outcome) in owners.into_iter().zip(output::commit_all(files, None)) {
        *owner = outcome;
    }
}
