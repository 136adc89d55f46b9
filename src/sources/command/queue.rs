//! The commands of a build, in the manifest's order: several run at a time, and all that wait
//! for them is done by one thread.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::sync::PoisonError;
use std::time::Duration;

use credimg_formats::Secret;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::running::{CHECK, Running};
use super::{Limits, Program};
use crate::host::signals;
use crate::manifest::{Entry, Manifest, Source};
use crate::report::{Exit, Failure, line};
use crate::sources::builder::{Adder, TreeBuilder};
use crate::sources::environment::Changes;
use crate::sources::pseudo::{Action, Definition, Definitions, New};
use crate::sources::shared::Shared;

/// How much is read of an output at once.
const READ_BYTES: usize = 16 << 10;

/// All commands of a build. Those of entries come first, then those of credentials and items of
/// `fw_cfg`, then those of pseudo definitions, which is the order of their turns.
pub(crate) struct Commands<'a> {
    limits: &'a Limits,
    /// What has not been started yet.
    waiting: VecDeque<(Adder, Program<'a>)>,
    /// Those whose output several machines of a fleet may have, which run once for all of them.
    shared: BTreeMap<Adder, Program<'a>>,
    store: Option<&'a Shared>,
    /// What was printed, until it is taken.
    outputs: BTreeMap<Adder, Secret>,
}

impl<'a> Commands<'a> {
    /// The commands of `manifest` and of its `definitions`.
    pub(crate) fn new(
        manifest: &'a Manifest,
        definitions: &'a Definitions,
        limits: &'a Limits,
        store: Option<&'a Shared>,
    ) -> Self {
        let entries = manifest.entries.iter().enumerate();
        let values = manifest.values().enumerate();
        let entries = entries.filter_map(|(index, it)| Some((Adder::Entry(index), of_entry(it)?)));
        let values = values.filter_map(|(index, it)| Some((Adder::Value(index), of_entry(it)?)));
        let definition = |(index, definition)| {
            Some((Adder::Definition(index), of_definition(definition, definitions)?))
        };
        let is_shared = |adder: &Adder| {
            let entry = match adder {
                Adder::Entry(index) => manifest.entries.get(*index),
                Adder::Value(index) => manifest.values().nth(*index),
                Adder::Definition(_) => None,
            };
            store.is_some() && entry.is_some_and(Entry::is_shared)
        };
        let all =
            entries.chain(values).chain(definitions.iter().enumerate().filter_map(definition));
        let (shared, waiting): (Vec<_>, Vec<_>) = all.partition(|(adder, _)| is_shared(adder));
        let (shared, waiting) = (shared.into_iter().collect(), waiting.into());
        Self { limits, waiting, shared, store, outputs: BTreeMap::new() }
    }

    /// What the command of `adder` has printed, which is never nothing; none where it has no
    /// command. It is to be asked in the order of turns, once for each.
    ///
    /// The first call for a command runs all of them, so that they can run side by side. Where
    /// one may run at a time each is run by its own call, so that what stands between two of them
    /// is read between them.
    pub(crate) fn output(
        &mut self,
        adder: Adder,
        builder: &mut TreeBuilder,
    ) -> Result<Option<Secret>, Failure> {
        if let (Some(program), Some(store)) = (self.shared.remove(&adder), self.store) {
            return self.shared_output(adder, program, store, builder).map(Some);
        }
        if self.waiting.front().is_some_and(|(first, _)| *first == adder) {
            let due = if self.limits.jobs > 1 { self.waiting.len() } else { 1 };
            self.run(due, &Changes::of(builder.manifest()), builder)?;
        }
        Ok(self.outputs.remove(&adder))
    }

    /// What a command has printed, or will, that several machines may have. Of those who ask at
    /// a time one runs it, and the others wait. It learns nothing of any machine.
    fn shared_output(
        &mut self,
        adder: Adder,
        program: Program<'a>,
        store: &Shared,
        builder: &mut TreeBuilder,
    ) -> Result<Secret, Failure> {
        let key = (program.argv.to_vec(), program.directory.to_owned(), program.trim);
        let slot = store.command(key);
        let mut known = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            let output = known.clone()?;
            let counted = builder.budget().count_content(output.len());
            return counted.map(|()| output).map_err(|failure| builder.blame(adder, failure));
        }
        self.waiting.push_front((adder, program));
        let changes = Changes { added: Vec::new(), ..Changes::of(builder.manifest()) };
        let ran = self.run(1, &changes, builder);
        let output = ran.and_then(|()| self.outputs.remove(&adder).ok_or_else(super::not_run));
        if !matches!(&output, Err(failure) if failure.exit == Exit::Interrupted) {
            *known = Some(output.clone());
        }
        output
    }

    /// Runs so many commands. After an error none of them is left running.
    fn run(
        &mut self,
        due: usize,
        changes: &Changes,
        builder: &mut TreeBuilder,
    ) -> Result<(), Failure> {
        // What a command says itself is not to be mixed with progress.
        if self.limits.show_stderr {
            line::wipe();
        }
        let mut due = self.waiting.drain(..due);
        let mut together = Together { running: Vec::new(), limits: self.limits };
        let mut buffer = Zeroizing::new(Vec::with_capacity(READ_BYTES));
        loop {
            while together.running.len() < self.limits.jobs.max(1)
                && let Some((adder, program)) = due.next()
            {
                together.start(adder, program, changes, builder)?;
            }
            if together.running.is_empty() {
                return Ok(());
            }
            signals::check()?;
            together.report(builder);
            let ready = together.wait(builder)?;
            together.look(&ready, &mut buffer, builder, &mut self.outputs)?;
        }
    }
}

fn of_entry(entry: &Entry) -> Option<Program<'_>> {
    match &entry.source {
        Source::Command { argv, directory, is_shell, trim } => {
            let argv = Cow::Borrowed(argv.as_slice());
            Some(Program { argv, directory, is_shell: *is_shell, trim: *trim })
        }
        Source::File(_)
        | Source::Dir(_)
        | Source::FollowedDir(_)
        | Source::Tar(_)
        | Source::Inline(_)
        | Source::Env { .. }
        | Source::Symlink(_) => None,
    }
}

fn of_definition<'a>(
    definition: &'a Definition,
    definitions: &'a Definitions,
) -> Option<Program<'a>> {
    let Action::Make(_, New::Command(script)) = &definition.action else { return None };
    let argv: [OsString; 3] = ["/bin/sh".into(), "-c".into(), script.clone()];
    let argv = Cow::Owned(argv.into());
    Some(Program { argv, directory: definitions.directory(), is_shell: true, trim: false })
}

/// The commands that run at the same time. Dropped, it ends all of them.
struct Together<'a> {
    /// In the order of their turns, which is that of their starts.
    running: Vec<Running<'a>>,
    limits: &'a Limits,
}

impl<'a> Together<'a> {
    fn start(
        &mut self,
        adder: Adder,
        program: Program<'a>,
        changes: &Changes,
        builder: &TreeBuilder,
    ) -> Result<(), Failure> {
        let running = Running::start(adder, program, changes, self.limits);
        self.running.push(running.map_err(|failure| builder.blame(adder, failure))?);
        Ok(())
    }

    /// Shows the command that has run for the longest time, and how many there are.
    fn report(&self, builder: &mut TreeBuilder) {
        if let Some((oldest, others)) = self.running.split_first()
            && !self.limits.show_stderr
        {
            builder.report_running(oldest.adder, &oldest.name, oldest.elapsed(), others.len());
        }
    }

    /// Waits until there is something to do. Returns of each whether there is output, or its end.
    fn wait(&self, builder: &TreeBuilder) -> Result<Vec<bool>, Failure> {
        let waits = self.running.iter().map(|it| it.wait(self.limits));
        let wait = waits.min().unwrap_or(Duration::ZERO).min(CHECK);
        let wait = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        let open = self.running.iter().filter_map(Running::open_output);
        let mut polled: Vec<_> = open.map(|it| PollFd::new(it, PollFlags::IN)).collect();
        match (poll(&mut polled, Some(&wait)), self.running.first()) {
            (Err(errno), Some(first)) if errno != Errno::INTR => {
                return Err(builder.blame(first.adder, first.unreadable(errno)));
            }
            (Ok(_) | Err(_), _) => {}
        }
        let mut polled = polled.iter().map(|it| !it.revents().is_empty());
        let is_ready = |it: &Running| it.open_output().is_some() && polled.next() == Some(true);
        Ok(self.running.iter().map(is_ready).collect())
    }

    /// Reads what there is of the output, and moves that of commands which are done to `outputs`.
    /// Of several that have failed the first one in the order of turns is told.
    fn look(
        &mut self,
        ready: &[bool],
        buffer: &mut Vec<u8>,
        builder: &mut TreeBuilder,
        outputs: &mut BTreeMap<Adder, Secret>,
    ) -> Result<(), Failure> {
        let mut index = 0;
        for is_ready in ready {
            let Some(running) = self.running.get_mut(index) else { break };
            let adder = running.adder;
            let outcome = running.look(*is_ready, buffer, self.limits, builder.budget());
            if !outcome.map_err(|failure| builder.blame(adder, failure))? {
                index += 1;
                continue;
            }
            let done = self.running.remove(index);
            let output = done.finish(|| builder.shown_path(adder));
            outputs.insert(adder, output.map_err(|failure| builder.blame(adder, failure))?);
        }
        Ok(())
    }
}

impl Drop for Together<'_> {
    fn drop(&mut self) {
        // All at once, so that none runs on until the one before it is gone.
        for running in &self.running {
            running.kill();
        }
    }
}
