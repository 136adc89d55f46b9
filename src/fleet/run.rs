//! The run of a fleet: a few workers build one machine after the other, each in batches that are
//! put in place together.
//!
//! Invariant: what one machine has, its failure or its secrets, concerns no other machine. Its
//! sources are in memory only while its image is written.
//! Invariant: after a signal no machine begins, and what is complete is put in place or taken
//! back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::batch::{Batch, Waiting};
use super::equal::Equal;
use super::progress::Progress;
use super::report::{Report, Told};
use crate::host::memory::without_traces;
use crate::host::output::{self, Complete, MachineDirectory};
use crate::host::signals;
use crate::host::trust::Census;
use crate::host::users::Users;
use crate::job::Job;
use crate::job::depfile::Dependencies;
use crate::job::destination::{Destination, NewFile};
use crate::job::files::Files;
use crate::job::making::{Attached, Making, Printed, Ready};
use crate::job::permissions;
use crate::job::trusted;
use crate::job::wishes::{SourceWishes, Wishes};
use crate::manifest::Fleet;
use crate::manifest::fleet::{Item, ItemKind, Machine, Origin, Template};
use crate::monitors;
use crate::report::{self, About, Exit, Failure, line};
use crate::sources::shared::Shared;

/// How many machines are built at a time if no commands run for them.
const WORKERS: usize = 2;

/// What a run is to do.
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
pub(crate) struct Order<'a> {
    pub(crate) fleet: &'a Fleet,
    /// The indexes of the machines to build.
    pub(crate) machines: Vec<usize>,
    pub(crate) output: &'a Template,
    pub(crate) depfile: Option<&'a Template>,
    /// The wishes for every machine; the files of each one are added.
    pub(crate) wishes: Wishes,
    pub(crate) templates: Templates,
    pub(crate) pseudo_files: &'a [PathBuf],
    /// Where the report goes, if it goes into a file.
    pub(crate) report: Option<&'a Path>,
    /// Whether the report is wanted.
    pub(crate) is_reported: bool,
    pub(crate) is_absolute: bool,
    pub(crate) if_changed: bool,
    pub(crate) verifies: bool,
    /// Whether a value that two machines have from different sources is a warning only.
    pub(crate) allows_equal: bool,
    pub(crate) is_quiet: bool,
}

impl Order<'_> {
    /// The machine at this place of the order.
    pub(super) fn machine(&self, place: usize) -> Option<&Machine> {
        self.machines.get(place).and_then(|index| self.fleet.machines().get(*index))
    }
}

/// The options that name files of each machine.
#[derive(Default)]
pub(crate) struct Templates {
    pub(crate) key_file: Option<Template>,
    pub(crate) key_out: Option<Template>,
    /// The guest's own initrd, which machines may have in common.
    pub(crate) initrd: Option<Template>,
}

/// Builds every machine of the order; returns what came of each. The order has been found to
/// isolate its machines.
pub(crate) fn run(order: &Order) -> Result<Report, Failure> {
    signals::note()?;
    output::common_directory(&order.output.common_directory()?)?;
    let equal = Equal::new(order.fleet)?;
    let mut run = Run {
        order,
        workers: 1,
        equal,
        users: Users::default(),
        shared: Arc::default(),
        next: AtomicUsize::new(0),
        progress: Progress::new(order),
    };
    run.workers = run.wanted_workers();
    let standing = line::begin_many(!order.is_quiet);
    thread::scope(|scope| {
        for _ in 1..run.workers {
            // The stack of a thread is kept when it has ended, so each worker overwrites its own.
            let work = || without_traces(|| run.work());
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        run.work();
    });
    run.work_again();
    drop(standing);
    Ok(run.progress.finish())
}

/// What the workers share.
struct Run<'a> {
    order: &'a Order<'a>,
    workers: usize,
    equal: Equal<'a>,
    users: Users,
    shared: Arc<Shared>,
    /// The place in the order of the next machine.
    next: AtomicUsize,
    progress: Progress<'a>,
}

/// A machine whose image is complete, but not yet in place.
pub(super) struct Built {
    pub(super) complete: Complete,
    pub(super) told: Told,
    pub(super) dependencies: Dependencies,
    /// Directories that got a new subdirectory for this image.
    pub(super) made_in: Vec<PathBuf>,
    /// The image's directory, if it is this machine's alone.
    pub(super) directory: Option<MachineDirectory>,
}

impl Run<'_> {
    /// How many workers there are. Each runs one command at a time, so there are as many as
    /// commands may run.
    fn wanted_workers(&self) -> usize {
        let SourceWishes { jobs, command_stderr, .. } = self.order.wishes.sources;
        let wanted = if !self.runs_commands() {
            thread::available_parallelism().map_or(1, usize::from).min(WORKERS)
        } else if command_stderr {
            // The messages of several commands could not be told apart.
            1
        } else {
            usize::from(jobs)
        };
        wanted.min(self.order.machines.len())
    }

    /// Whether a command runs for any of the fleet's machines.
    fn runs_commands(&self) -> bool {
        let fleet = self.order.fleet;
        let runs = |(index, item): (usize, &Item)| {
            let first = item.machines.iter().next();
            match first.map(|machine| fleet.origin(index, machine)) {
                Some(Origin::Command(_) | Origin::Definition(_)) => true,
                Some(
                    Origin::Nothing
                    | Origin::File(_)
                    | Origin::Directory(_)
                    | Origin::Variable(_)
                    | Origin::Content(_),
                )
                | None => item.kind == ItemKind::PseudoFile,
            }
        };
        !self.order.pseudo_files.is_empty() || fleet.items().iter().enumerate().any(runs)
    }

    /// Builds machines until there are no more.
    fn work(&self) {
        let mut batch = Batch::of_workers(self.workers);
        let mut census = self.census();
        while signals::received().is_none() {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            if place >= self.order.machines.len() {
                break;
            }
            self.work_on(place, &mut batch, census.as_mut());
            if batch.is_full() {
                batch.settle(&self.progress);
            }
        }
        batch.settle(&self.progress);
    }

    /// Builds the postponed machines: each image is put in place before the next one is begun.
    fn work_again(&self) {
        let mut batch = Batch::of_workers(1);
        let mut census = self.census();
        for place in self.progress.postponed() {
            match signals::check() {
                Ok(()) => self.work_on(place, &mut batch, census.as_mut()),
                Err(failure) => self.progress.note(place, Vec::new(), Err(failure)),
            }
            batch.settle(&self.progress);
        }
    }

    fn census(&self) -> Option<Census> {
        trusted::census(self.order.wishes.sources.trust)
    }

    /// Builds the machine at this place of the order, and adds it to the batch.
    fn work_on(&self, place: usize, batch: &mut Batch, census: Option<&mut Census>) {
        let index = self.order.machines.get(place);
        let Some((index, machine)) = index.zip(self.order.machine(place)) else { return };
        let about = About::machine(&machine.name);
        let built = self.build(*index, machine, census);
        let warnings = about.warnings();
        drop(about);
        match built {
            Ok(built) => {
                batch.add(Waiting::new(place, warnings, built));
                self.progress.wait();
            }
            Err(failure) => self.progress.note(place, warnings, Err(failure)),
        }
    }

    /// Builds a machine up to a complete image that is not yet in place.
    fn build(
        &self,
        index: usize,
        machine: &Machine,
        mut census: Option<&mut Census>,
    ) -> Result<Built, Failure> {
        let Order { fleet, output, depfile, wishes, .. } = self.order;
        let mut manifest = fleet.manifest_of(index)?;
        if let Some(census) = &mut census {
            census.look_again();
        }
        trusted::add_pseudo_files(&mut manifest, self.order.pseudo_files, census)?;
        let (path, depfile) = (output.of(machine)?, depfile.map(|it| it.of(machine)).transpose()?);
        let wishes = self.order.templates.wishes(wishes, machine)?;
        let (owner, reader) = (machine.owner.as_ref(), machine.reader.as_ref());
        let (permissions, of_directory) = permissions::of_machine(&self.users, owner, reader)?;
        let (mut made_in, mut directory) = (Vec::new(), None);
        for own in output.own_directories(machine)? {
            let made = output::machine_directory(&own, of_directory)?;
            if made.is_new {
                made_in.extend(own.parent().map(Path::to_owned));
            }
            directory = Some(made);
        }
        let files = Files {
            manifest: &manifest,
            image: &path,
            keys: &wishes.encryption,
            initrd: wishes.initrd.as_deref(),
            depfile: depfile.as_deref(),
            report: self.order.report,
        };
        let own_files = files.own_files(permissions)?;
        let mut dependencies = Dependencies::new(depfile.as_deref(), fleet.path())?;
        let destination = Destination::File(NewFile {
            path: path.clone(),
            permissions,
            own_files,
            if_changed: self.order.if_changed,
            notes_inputs: depfile.is_some(),
        });
        let mut job = Job::new(manifest, &wishes, destination)?;
        job.settings.commands.jobs = 1;
        job.settings.shared = Some(Arc::clone(&self.shared));
        if let Some(encryptor) = &job.image.encryptor {
            require_key_file(encryptor.key_file.as_deref())?;
        }
        dependencies.extend(job.image.key_inputs().cloned());
        job.advise(true)?;
        let built = self.image(index, job, permissions, &path, dependencies, made_in)?;
        // Checked before anything in the directory changes.
        directory.map_or(Ok(()), |directory| built.complete.require_in(&directory))?;
        Ok(Built { directory, ..built })
    }

    fn image(
        &self,
        index: usize,
        mut job: Job,
        permissions: output::Permissions,
        path: &Path,
        mut dependencies: Dependencies,
        made_in: Vec<PathBuf>,
    ) -> Result<Built, Failure> {
        let making = Making {
            job: &job,
            output: path,
            permissions,
            verifies: self.order.verifies,
            is_absolute: self.order.is_absolute,
            printed: Printed::Report,
        };
        // An error if the arguments cannot be told, before anything is read.
        making.require_told()?;
        let collected = job.collect()?;
        if let Some(met) = self.equal.note(index, &job, &collected)? {
            if !self.order.allows_equal {
                return Err(Equal::refusal(met));
            }
            report::warn(&met);
        }
        let Ready { file, summary, attached, .. } = making.make(collected, &mut dependencies)?;
        summary.losses.warn();
        let complete = match (file, job.existing.take()) {
            (Some(mut file), _) => {
                file.complete()?;
                Complete::New(Box::new(file))
            }
            (None, Some(existing)) => Complete::Kept(existing.into_kept(path, permissions)?),
            (None, None) => return Err(Failure::bug(": neither a new image nor an old one")),
        };
        let attachment = match attached {
            Attached::Members(attachment) => attachment,
            Attached::Text(_) => monitors::Attachment::default(),
        };
        let told = Told::new(summary, attachment);
        Ok(Built { complete, told, dependencies, made_in, directory: None })
    }
}

impl Templates {
    /// The wishes with the files of one machine.
    fn wishes(&self, wishes: &Wishes, machine: &Machine) -> Result<Wishes, Failure> {
        let of = |key: &Option<Template>| key.as_ref().map(|key| key.of(machine)).transpose();
        let mut wishes = wishes.clone();
        wishes.encryption.key_file = of(&self.key_file)?;
        wishes.encryption.key_out = of(&self.key_out)?;
        wishes.initrd = of(&self.initrd)?;
        Ok(wishes)
    }
}

/// An error where a new key would be in no file: it would be in the arguments, which only a report
/// holds.
fn require_key_file(file: Option<&Path>) -> Result<(), Failure> {
    let message = "the generated key would be in the arguments alone, and a fleet prints none";
    file.map(drop).ok_or_else(|| {
        Failure::new(Exit::Usage, message)
            .hint("name a file for it, as with --key-out 'keys/{machine}.key'")
    })
}
