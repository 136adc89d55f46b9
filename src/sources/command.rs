//! `command:` and `shell:` sources: a program whose output is the file.
//!
//! The program runs in the manifest's directory with little of credimg's environment, no
//! input and a process group of its own. When it is done, or has failed, every
//! process left in that group is killed, and by a guard when this process dies before: nothing
//! that handles secrets outlives the build. Only a daemon that leaves the group is not followed.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use credimg_formats::Secret;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, retry_on_intr};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use zeroize::Zeroizing;

use crate::host::guard::Guard;
use crate::host::signals;
use crate::report::verbose::Step;
use crate::report::{Exit, Failure, line, reason, shown};
use crate::sources::builder::Scope;
use crate::sources::environment;

/// A wait looks after signals and the program's state at least this often.
const CHECK: Duration = Duration::from_millis(100);
/// How long a killed process may take to disappear. Only one that we may not
/// kill, such as a set-user-id program, takes longer; it is left behind then.
const KILL_PATIENCE: Duration = Duration::from_secs(1);

/// How much room there is for each read of the output.
const READ_BYTES: usize = 64 << 10;

/// What a command is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one command may run.
    pub timeout: Duration,
    /// How much it may print, in bytes.
    pub output_max_bytes: usize,
    /// Whether its standard error is shown. It is hidden by default, as it may hold secrets.
    pub show_stderr: bool,
    /// The program `credimg`, which stands guard over each command: [`crate::host::guard`].
    pub guard: &'static Path,
}

impl Limits {
    /// How long a command may run unless told otherwise, in seconds.
    pub const TIMEOUT_SECONDS: u32 = 30;
    /// How much any command may print, in bytes.
    pub const OUTPUT_MAX_BYTES: usize = 16 << 20;

    /// What a command is granted unless told otherwise, under this guard.
    pub fn new(guard: &'static Path) -> Self {
        let timeout = Duration::from_secs(Self::TIMEOUT_SECONDS.into());
        Self { timeout, output_max_bytes: Self::OUTPUT_MAX_BYTES, show_stderr: false, guard }
    }
}

/// What is run.
pub(super) struct Program<'a> {
    /// The program and its arguments.
    pub(super) argv: &'a [OsString],
    /// The working directory.
    pub(super) directory: &'a Path,
    /// Whether it was written as `shell:`.
    pub(super) is_shell: bool,
}

impl Program<'_> {
    /// A failure that names the program and never its arguments, not even
    /// where they stand in one word with it by mistake.
    pub(super) fn failure(&self, what: &str) -> Failure {
        Failure::new(Exit::Command, format!("{} {what}", self.name())).hint(format!(
            "`--command-stderr` shows what it says on standard error; {}",
            environment::HINT
        ))
    }

    /// The program's name.
    fn name(&self) -> String {
        let is_word = |name: &OsString| !name.as_bytes().iter().any(u8::is_ascii_whitespace);
        match self.argv.first().filter(|name| is_word(name)) {
            _ if self.is_shell => "the shell command".to_owned(),
            Some(program) => shown(Path::new(program)),
            None => "the command".to_owned(),
        }
    }
}

/// What a program prints, which is never nothing; `trim` drops one trailing newline.
pub(super) fn output(
    program: &Program,
    trim: bool,
    limits: &Limits,
    to: &mut Scope,
) -> Result<Secret, Failure> {
    let hidden = environment::hidden(to.manifest());
    // What the command says itself is not to be mixed with progress.
    if limits.show_stderr {
        line::wipe();
    }
    let name = program.name();
    let mut waiting = |elapsed| {
        if !limits.show_stderr {
            to.report_running(&name, elapsed);
        }
    };
    let step = Step::begin();
    let mut output = run(program, &hidden, limits, &mut waiting)?;
    step.end(|| format!("ran {name}"));
    if trim {
        super::trim(&mut output);
    }
    if output.is_empty() {
        return Err(program.failure("printed nothing"));
    }
    Ok(Secret::new(std::mem::take(&mut *output)))
}

/// Runs the program and returns what it printed. It must end with status 0
/// within the time limit, and its output with it. It does not see the variables `hidden`.
/// `waiting` is called now and then meanwhile, with how long it has run.
fn run(
    program: &Program,
    hidden: &[OsString],
    limits: &Limits,
    waiting: &mut dyn FnMut(Duration),
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let group = Group::start(program, hidden, limits)?;
    let outcome = group.watch(program, limits, waiting);
    // Every way out comes by here, so that no process is left.
    let status = group.end();
    let output = outcome?;
    match status {
        Some(status) if status.success() => Ok(output),
        Some(status) => Err(program.failure(&describe(status))),
        None => Err(program.failure("does not end, not even when killed")),
    }
}

/// A running program with every process that it starts.
struct Group {
    child: Child,
    stdout: ChildStdout,
    /// The leader, which is dropped last.
    guard: Guard,
}

impl Group {
    fn start(program: &Program, hidden: &[OsString], limits: &Limits) -> Result<Self, Failure> {
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
        for variable in hidden {
            command.env_remove(variable);
        }
        let spawned = command
            .args(arguments)
            .current_dir(directory)
            .process_group(guard.group().as_raw_pid())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if limits.show_stderr { Stdio::inherit() } else { Stdio::null() })
            .spawn();
        let cannot_start = |error: &io::Error| {
            program.failure(&format!("cannot be started: {}", reason(error))).hint(
                "each argument is an item of its own; a program is looked up in PATH, or from the \
                 manifest's directory where it holds a slash",
            )
        };
        let mut child = spawned.map_err(|error| cannot_start(&error))?;
        let Some(stdout) = child.stdout.take() else {
            return Err(program.failure("has no output"));
        };
        Ok(Self { child, stdout, guard })
    }

    /// Collects the output until it ends and the program has exited. Returns
    /// early, without an error, where its status will be one.
    fn watch(
        &self,
        program: &Program,
        limits: &Limits,
        waiting: &mut dyn FnMut(Duration),
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let started = Instant::now();
        let mut left = || {
            signals::check()?;
            let elapsed = started.elapsed();
            waiting(elapsed);
            let left = limits.timeout.checked_sub(elapsed);
            left.ok_or_else(|| self.timed_out(program, limits.timeout))
        };
        let unreadable = |errno: Errno| {
            program.failure(&format!("has unreadable output: {}", reason(&errno.into())))
        };
        let mut output = Zeroizing::new(Vec::new());
        loop {
            let wait = left()?.min(CHECK);
            if !is_readable(&self.stdout, wait).map_err(unreadable)? {
                match self.exited(program)? {
                    Some(state) if state.exit_status() != Some(0) => return Ok(output),
                    _ => continue,
                }
            }
            output
                .try_reserve(READ_BYTES)
                .map_err(|_| program.failure("printed more than there is memory for"))?;
            let got = retry_on_intr(|| read(&self.stdout, spare_capacity(&mut output)))
                .map_err(unreadable)?;
            if got == 0 {
                break;
            }
            if output.len() > limits.output_max_bytes {
                let message = format!("printed more than {} bytes", limits.output_max_bytes);
                return Err(program.failure(&message));
            }
        }
        let mut pause = Duration::from_micros(50);
        while self.exited(program)?.is_none() {
            signals::pause(left()?.min(pause));
            pause = (pause * 2).min(CHECK);
        }
        Ok(output)
    }

    /// The program's state once it has exited; it is not reaped. Where it is
    /// stopped instead it asks for something: in a process group of its own it
    /// cannot read from the terminal.
    fn exited(&self, program: &Program) -> Result<Option<WaitIdStatus>, Failure> {
        let process = Pid::from_child(&self.child);
        let options = WaitIdOptions::EXITED
            | WaitIdOptions::STOPPED
            | WaitIdOptions::NOHANG
            | WaitIdOptions::NOWAIT;
        let state = waitid(WaitId::Pid(process), options).ok().flatten();
        if state.as_ref().is_some_and(WaitIdStatus::stopped) {
            let failure = program.failure("was stopped, as if it asked on the terminal");
            return Err(failure.hint("a command has no terminal: unlock what it needs beforehand"));
        }
        Ok(state)
    }

    fn timed_out(&self, program: &Program, timeout: Duration) -> Failure {
        match self.exited(program) {
            Err(failure) => failure,
            Ok(None) => program
                .failure(&format!("did not finish within {timeout:?}"))
                .hint("`--command-timeout` gives it more, `--command-stderr` shows what it says"),
            Ok(Some(_)) => program.failure(&format!(
                "ended, but a process that it started held its output open for {timeout:?}"
            )),
        }
    }

    /// Kills what is left of the group and reaps the program. None where that
    /// outlives it: it runs as another user.
    fn end(mut self) -> Option<ExitStatus> {
        self.guard.kill();
        let started = Instant::now();
        let mut pause = Duration::from_micros(50);
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

/// Whether there is output, or its end, within `wait`.
fn is_readable(stdout: &ChildStdout, wait: Duration) -> Result<bool, Errno> {
    let wait = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
    match poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&wait)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno),
    }
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
