//! A program that runs, with every process that it starts: in a process group of its own, under
//! a guard.

use std::collections::TryReserveError;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use credimg_formats::Secret;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, read, retry_on_intr};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use zeroize::Zeroizing;

use super::{Limits, Program};
use crate::host::guard::Guard;
use crate::host::signals;
use crate::report::verbose::Step;
use crate::report::{Exit, Failure, reason};
use crate::sources;
use crate::sources::builder::Adder;
use crate::sources::builder::budget::Budget;
use crate::sources::environment::Changes;

/// A wait looks after signals and programs at least this often.
pub(super) const CHECK: Duration = Duration::from_millis(100);
/// A wait for the end of a program whose output has ended begins with this, and gets longer.
const SHORTEST_WAIT: Duration = Duration::from_micros(50);
/// How long a killed process may take to disappear. Only one that we may not
/// kill, such as a set-user-id program, takes longer; it is left behind then.
const KILL_PATIENCE: Duration = Duration::from_secs(1);

/// A program that was started. Dropped, it is killed with all that it has started.
pub(super) struct Running<'a> {
    /// For whom it runs.
    pub(super) adder: Adder,
    /// What messages call it.
    pub(super) name: String,
    program: Program<'a>,
    step: Step,
    started: Instant,
    output: Zeroizing<Vec<u8>>,
    pipe: Pipe,
    group: Group,
}

/// Where the output comes from.
enum Pipe {
    Open(ChildStdout),
    /// It has ended then.
    Ended(Instant),
}

impl<'a> Running<'a> {
    /// Starts `program` in our environment with these changes.
    pub(super) fn start(
        adder: Adder,
        program: Program<'a>,
        changes: &Changes,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        let step = Step::begin();
        let no_program = || Failure::new(Exit::Manifest, "its command names no program");
        let (name, arguments) = program.argv.split_first().ok_or_else(no_program)?;
        // The directory of `secrets.yaml` is the empty path, which no system call takes.
        let is_here = program.directory.as_os_str().is_empty();
        let directory = if is_here { Path::new(".") } else { program.directory };
        signals::note()?;
        let guard = Guard::start(limits.guard).map_err(|error| {
            let message = format!("cannot be watched over: {}", reason(&error));
            program.failure(&message).hint("commands want /proc to be mounted")
        })?;
        let mut command = Command::new(name);
        for variable in &changes.hidden {
            command.env_remove(variable);
        }
        command.envs(changes.added.iter().map(|(name, value)| (name, value)));
        let spawned = command
            .args(arguments)
            .current_dir(directory)
            .process_group(guard.group().as_raw_pid())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if limits.show_stderr { Stdio::inherit() } else { Stdio::null() })
            .spawn();
        let mut child = spawned.map_err(|error| cannot_start(&program, &error))?;
        let Some(stdout) = child.stdout.take() else {
            return Err(program.failure("has no output"));
        };
        Ok(Self {
            adder,
            name: program.name(),
            program,
            step,
            started: Instant::now(),
            output: Zeroizing::default(),
            pipe: Pipe::Open(stdout),
            group: Group { child, is_ended: false, guard },
        })
    }

    /// For how long it has run.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Where its output comes from, until that has ended.
    pub(super) fn open_output(&self) -> Option<&ChildStdout> {
        match &self.pipe {
            Pipe::Open(stdout) => Some(stdout),
            Pipe::Ended(_) => None,
        }
    }

    /// After how long it is to be looked at even where there is no output. Most programs end
    /// with their output; for one that does not the waits get longer.
    pub(super) fn wait(&self, limits: &Limits) -> Duration {
        let left = limits.timeout.saturating_sub(self.elapsed());
        left.min(match self.pipe {
            Pipe::Open(_) => CHECK,
            Pipe::Ended(at) => at.elapsed().clamp(SHORTEST_WAIT, CHECK),
        })
    }

    /// Reads what there is of its output, by way of `buffer`. Returns whether nothing is to be
    /// waited for any more: the output has ended and the program has exited, or that has failed.
    pub(super) fn look(
        &mut self,
        is_readable: bool,
        buffer: &mut Vec<u8>,
        limits: &Limits,
        budget: &mut Budget,
    ) -> Result<bool, Failure> {
        if is_readable {
            self.read(buffer, limits, budget)?;
        }
        // While there is output the state does not matter.
        if !is_readable || self.open_output().is_none() {
            let state = self.exited()?;
            let has_ended = self.open_output().is_none();
            if state.is_some_and(|state| has_ended || state.exit_status() != Some(0)) {
                return Ok(true);
            }
        }
        if self.elapsed() > limits.timeout {
            return Err(self.timed_out(limits.timeout));
        }
        Ok(false)
    }

    /// Reads once.
    fn read(
        &mut self,
        buffer: &mut Vec<u8>,
        limits: &Limits,
        budget: &mut Budget,
    ) -> Result<(), Failure> {
        let Pipe::Open(stdout) = &self.pipe else { return Ok(()) };
        buffer.clear();
        let got = retry_on_intr(|| read(stdout, spare_capacity(buffer)))
            .map_err(|errno| self.unreadable(errno))?;
        if got == 0 {
            self.pipe = Pipe::Ended(Instant::now());
            return Ok(());
        }
        if self.output.len() + got > limits.output_max_bytes {
            let message = format!("printed more than {} bytes", limits.output_max_bytes);
            return Err(self.program.failure(&message));
        }
        budget.count_content(got)?;
        append(&mut self.output, buffer).map_err(|_| no_memory(&self.program))
    }

    /// The failure to read its output.
    pub(super) fn unreadable(&self, errno: Errno) -> Failure {
        self.program.failure(&format!("has unreadable output: {}", reason(&errno.into())))
    }

    /// The program's state once it has exited; it is not reaped. Where it is
    /// stopped instead it asks for something: in a process group of its own it
    /// cannot read from the terminal.
    fn exited(&self) -> Result<Option<WaitIdStatus>, Failure> {
        let process = Pid::from_child(&self.group.child);
        let options = WaitIdOptions::EXITED
            | WaitIdOptions::STOPPED
            | WaitIdOptions::NOHANG
            | WaitIdOptions::NOWAIT;
        let state = waitid(WaitId::Pid(process), options).ok().flatten();
        if state.as_ref().is_some_and(WaitIdStatus::stopped) {
            let failure = self.program.failure("was stopped, as if it asked on the terminal");
            return Err(failure.hint("a command has no terminal: unlock what it needs beforehand"));
        }
        Ok(state)
    }

    fn timed_out(&self, timeout: Duration) -> Failure {
        match self.exited() {
            Err(failure) => failure,
            Ok(None) => self
                .program
                .failure(&format!("did not finish within {timeout:?}"))
                .hint("`--command-timeout` gives it more, `--command-stderr` shows what it says"),
            Ok(Some(_)) => self.program.failure(&format!(
                "ended, but a process that it started held its output open for {timeout:?}"
            )),
        }
    }

    /// What it has printed, if it has ended well, in no more memory than that takes. `path` is
    /// that of its file in the image.
    pub(super) fn finish(self, path: impl FnOnce() -> String) -> Result<Secret, Failure> {
        let Self { name, program, step, mut output, mut group, .. } = self;
        // Every way out ends the group, so that no process is left.
        let stays = || program.failure("does not end, not even when killed");
        let status = group.end().ok_or_else(stays)?;
        if !status.success() {
            return Err(program.failure(&describe(status)));
        }
        step.end(|| format!("ran {name} for {}", path()));
        fit(&mut output).map_err(|_| no_memory(&program))?;
        if program.trim {
            sources::trim(&mut output);
        }
        if output.is_empty() {
            return Err(program.failure("printed nothing"));
        }
        Ok(Secret::new(std::mem::take(&mut *output)))
    }

    /// Kills it and what it has started.
    pub(super) fn kill(&self) {
        self.group.guard.kill();
    }
}

/// A process group under a guard.
struct Group {
    /// The program.
    child: Child,
    is_ended: bool,
    /// The leader, which is dropped last.
    guard: Guard,
}

impl Group {
    /// Kills what is left of the group and reaps the program. None where that
    /// outlives it: it runs as another user.
    fn end(&mut self) -> Option<ExitStatus> {
        self.is_ended = true;
        self.guard.kill();
        let started = Instant::now();
        let mut pause = SHORTEST_WAIT;
        loop {
            match self.child.try_wait() {
                Ok(None) if started.elapsed() < KILL_PATIENCE => signals::pause(pause),
                Ok(status) => return status,
                Err(_) => return None,
            }
            pause = (pause * 2).min(CHECK);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_ended {
            self.end();
        }
    }
}

/// Adds what was read. Most outputs are one read long, and take no more memory than that.
fn append(output: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TryReserveError> {
    if output.is_empty() {
        output.try_reserve_exact(bytes.len())?;
    } else {
        output.try_reserve(bytes.len())?;
    }
    output.extend_from_slice(bytes);
    Ok(())
}

/// Gives up memory that the output does not take.
fn fit(output: &mut Zeroizing<Vec<u8>>) -> Result<(), TryReserveError> {
    if output.capacity() > output.len() {
        let mut exact = Zeroizing::new(Vec::new());
        exact.try_reserve_exact(output.len())?;
        exact.extend_from_slice(output);
        *output = exact;
    }
    Ok(())
}

fn cannot_start(program: &Program, error: &io::Error) -> Failure {
    program.failure(&format!("cannot be started: {}", reason(error))).hint(
        "each argument is an item of its own; a program is looked up in PATH, or from the \
         manifest's directory where it holds a slash",
    )
}

fn no_memory(program: &Program) -> Failure {
    program.failure("printed more than there is memory for")
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            format!("was killed by {name}")
        }
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn an_output_takes_its_own_length_in_memory() {
        for reads in [&[5][..], &[65_536], &[4096, 16_384, 1]] {
            let mut output = Zeroizing::default();
            for length in reads {
                append(&mut output, &vec![7; *length]).unwrap();
            }
            if let [length] = reads {
                assert_eq!(output.capacity(), *length, "grown for nothing");
            }
            fit(&mut output).unwrap();
            let length = reads.iter().sum::<usize>();
            assert_eq!((output.len(), output.capacity()), (length, length), "{reads:?}");
            assert!(output.iter().all(|byte| *byte == 7));
        }
    }
}
