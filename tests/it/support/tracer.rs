//! Runs a program under ptrace(2) and lets a test decide at each system call.
//! x86-64 only: it reads and writes that machine's registers.
//!
//! ```ignore
//! let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
//! command.args(["build", "secrets.yaml", "-o", "a.erofs"]).current_dir(directory);
//! let outcome = Tracer::new(&command).run(|stop| match stop {
//!     // The rename that gives the image its name is done, and reports an error.
//!     Stop::Entry(call) if call.name() == "renameat" && call.names("a.erofs") => {
//!         Action::RunAndFail(Errno::EIO)
//!     }
//!     // From here on at full speed, without further stops.
//!     Stop::Exit(call, result) if call.name() == "fsync" && result == 0 => Action::Release,
//!     Stop::Entry(_) | Stop::Exit(..) => Action::Run,
//! });
//! assert_eq!(outcome.code(), Some(7), "{}", outcome.stderr());
//! ```
//!
//! At a stop every thread of the program but the stopped one runs on. `call.memory()`
//! tells the process's mappings ([`memory::Mapping`]), with their bytes and whether they are locked. What the program
//! starts (commands, and what it becomes) runs without stops unless `follow(true)` is asked for;
//! in each case it is watched to its end, and `outcome.orphans` counts what the
//! program left running. `run` must be called by a thread that has no other children.

#![allow(dead_code, reason = "`faults` uses more of it than `it`")]
#![cfg(target_arch = "x86_64")]

#[path = "tracer/call.rs"]
mod call;
#[path = "tracer/memory.rs"]
mod memory;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) use call::Call;
pub(crate) use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
pub(crate) use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Stops itself until the tracer is there, and becomes the program then.
const LAUNCHER: &str = "kill -STOP $$; exec \"$@\"";
/// A generous bound against hanging.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what the program started may live on after it.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(1);

/// Where a thread of the program stands.
pub(crate) enum Stop<'a> {
    /// About to make this system call.
    Entry(&'a Call),
    /// It has made it, with this result: below 0 an error's number. What
    /// [`Action::RunAndFail`] makes of it comes after.
    Exit(&'a Call, i64),
}

/// What becomes of the system call. At its exit `Fail`, `RunAndFail` and `Shorten` say
/// nothing of a call that is over, and are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It runs as it is.
    Run,
    /// It is not made, and reports this error.
    Fail(Errno),
    /// It is made, whatever its outcome, and reports this error.
    RunAndFail(Errno),
    /// It is made with an argument in place of the one that it has: index, value.
    Replace(usize, u64),
    /// The program gets a signal before this stop ends: at the entry of a call
    /// KILL comes before it is made, others while or just after it is.
    Signal(Signal),
    /// It runs, and the program does not stop any more.
    Release,
}

/// A run that is about to be made.
pub(crate) struct Tracer {
    command: Command,
    stdout: Option<File>,
    stderr: File,
    follows: bool,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: WaitStatus,
    /// Standard output, unless it was sent elsewhere.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr_bytes: Vec<u8>,
    /// How many of the processes that the program started lived on after it for 1 s. They are killed.
    pub(crate) orphans: usize,
    /// Whether it hung for a minute and was killed.
    pub(crate) is_hung: bool,
}

impl Outcome {
    /// One that no run had, to try with what a test makes of outcomes.
    pub(crate) fn made_up(code: i32, stderr: &str) -> Self {
        let status = WaitStatus::Exited(Pid::from_raw(1), code);
        let stderr_bytes = stderr.as_bytes().to_vec();
        Self { status, stdout: Vec::new(), stderr_bytes, orphans: 0, is_hung: false }
    }

    /// One that a signal ended.
    pub(crate) fn made_up_end(signal: Signal) -> Self {
        let status = WaitStatus::Signaled(Pid::from_raw(1), signal, false);
        Self { status, ..Self::made_up(0, "") }
    }

    /// The exit code, unless a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        match self.status {
            WaitStatus::Exited(_, code) => Some(code),
            _ => None,
        }
    }

    /// The signal that ended it.
    pub(crate) fn signal(&self) -> Option<Signal> {
        match self.status {
            WaitStatus::Signaled(_, signal, _) => Some(signal),
            _ => None,
        }
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr_bytes).into_owned()
    }
}

impl Tracer {
    /// Of the command its program, arguments, directory and changes of variables are taken.
    /// Standard input is empty.
    pub(crate) fn new(command: &Command) -> Self {
        let mut launched = Command::new("/bin/sh");
        launched.args(["-c", LAUNCHER, "sh"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => launched.env(name, value),
                None => launched.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            launched.current_dir(directory);
        }
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        launched.stdin(Stdio::null());
        launched.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        Self { command: launched, stdout: Some(out), stderr: err, follows: false }
    }

    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Sends standard output there; the outcome holds none then.
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self.stdout = None;
        self
    }

    /// Whether the system calls of other programs that the program starts, or
    /// becomes, are stopped at too.
    pub(crate) fn follow(mut self, follows: bool) -> Self {
        self.follows = follows;
        self
    }

    /// Runs to the end; `decide` is asked at each stop.
    #[expect(clippy::zombie_processes, reason = "it is waited for by its number")]
    pub(crate) fn run(mut self, decide: impl FnMut(Stop) -> Action) -> Outcome {
        let child = self.command.spawn().unwrap();
        let root = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let watchdog = Watchdog::new(root);
        let mut run = Run::new(root, self.follows, decide);
        run.begin();
        while run.status.is_none() {
            run.handle(wait(WaitPidFlag::empty()).expect("the program vanished"));
        }
        let is_hung = watchdog.stop();
        let orphans = run.watch_orphans();
        let status = run.status.unwrap();
        // Standard output is not read where it was sent elsewhere.
        let stdout = self.stdout.map(read_back).unwrap_or_default();
        Outcome { status, stdout, stderr_bytes: read_back(self.stderr), orphans, is_hung }
    }
}

fn read_back(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// What this thread's children and tracees do next; none where nothing is left.
fn wait(flags: WaitPidFlag) -> Option<WaitStatus> {
    let flags = flags | WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    loop {
        match waitpid(Pid::from_raw(-1), Some(flags)) {
            Ok(status) => return Some(status),
            Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return None,
            Err(error) => panic!("waitpid: {error}"),
        }
    }
}

/// Kills a run that hangs.
struct Watchdog {
    stop: Sender<()>,
    thread: JoinHandle<bool>,
}

impl Watchdog {
    fn new(root: Pid) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let is_late = stopped.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
            if is_late {
                let _ = kill(root, Signal::SIGKILL);
            }
            is_late
        });
        Self { stop, thread }
    }

    fn stop(self) -> bool {
        drop(self.stop);
        self.thread.join().unwrap()
    }
}

/// A call that has begun.
struct Inside {
    call: Call,
    /// The error that it reports in the end.
    error: Option<Errno>,
    /// The argument that was replaced, with its place.
    replaced: Option<(usize, u64)>,
}

/// A thread that is traced.
struct Thread {
    /// The number of its process.
    process: Pid,
    /// Its place in the order in which threads came.
    index: usize,
    /// Whether it is of the program, not of what that has started or become.
    is_program: bool,
    /// How many calls it has made.
    calls: usize,
    /// Whether its next stop is the end of the launcher's call.
    ends_launch: bool,
    inside: Option<Inside>,
}

struct Run<F> {
    root: Pid,
    threads: HashMap<Pid, Thread>,
    /// How many threads there have been.
    count: usize,
    /// Whether the launcher has become the program.
    has_begun: bool,
    is_released: bool,
    follows: bool,
    status: Option<WaitStatus>,
    decide: F,
}

impl<F: FnMut(Stop) -> Action> Run<F> {
    fn new(root: Pid, follows: bool, decide: F) -> Self {
        let threads = HashMap::new();
        let (count, has_begun, is_released, status) = (0, false, false, None);
        Self { root, threads, count, has_begun, is_released, follows, status, decide }
    }

    /// Takes the launcher, which has stopped itself, under control.
    fn begin(&mut self) {
        let stopped = waitpid(self.root, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(stopped, WaitStatus::Stopped(self.root, Signal::SIGSTOP));
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(self.root, options).unwrap();
        self.register(self.root, true);
        kill(self.root, Signal::SIGCONT).unwrap();
    }

    fn register(&mut self, pid: Pid, is_program: bool) {
        let process = call::process_of(pid).unwrap_or(pid);
        let index = self.count;
        self.count += 1;
        let (calls, ends_launch, inside) = (0, false, None);
        let thread = Thread { process, index, is_program, calls, ends_launch, inside };
        self.threads.insert(pid, thread);
    }

    fn handle(&mut self, status: WaitStatus) {
        match status {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                self.threads.remove(&pid);
                if pid == self.root {
                    self.status = Some(status);
                }
            }
            WaitStatus::PtraceSyscall(pid) => self.handle_call(pid),
            WaitStatus::PtraceEvent(pid, _, event) => self.handle_event(pid, event),
            WaitStatus::Stopped(pid, signal) => self.resume(pid, Some(signal)),
            WaitStatus::Continued(_) | WaitStatus::StillAlive => {}
        }
    }

    fn handle_event(&mut self, pid: Pid, event: i32) {
        const EXEC: i32 = ptrace::Event::PTRACE_EVENT_EXEC as i32;
        const STOP: i32 = ptrace::Event::PTRACE_EVENT_STOP as i32;
        if event == EXEC {
            let is_start = pid == self.root && !self.has_begun;
            self.has_begun |= is_start;
            if let Some(thread) = self.threads.get_mut(&pid) {
                thread.is_program = is_start;
                thread.ends_launch = is_start;
            }
        } else if event == STOP && !self.threads.contains_key(&pid) {
            // The first stop of a new thread: it belongs to the program until it becomes another.
            let process = call::process_of(pid).unwrap_or(pid);
            let parent = call::parent_of(pid).unwrap_or(process);
            let origin = [process, parent].into_iter().find_map(|pid| self.threads.get(&pid));
            let is_program = origin.is_none_or(|origin| origin.is_program);
            self.register(pid, is_program);
        }
        self.resume(pid, None);
    }

    fn handle_call(&mut self, pid: Pid) {
        let Some(thread) = self.threads.get_mut(&pid) else { return self.resume(pid, None) };
        // A thread that was killed meanwhile has no registers.
        let Ok(mut registers) = ptrace::getregs(pid) else { return };
        if std::mem::take(&mut thread.ends_launch) {
            return self.resume(pid, None);
        }
        let action = if let Some(Inside { call, error, replaced }) = thread.inside.take() {
            let result = registers.rax.cast_signed();
            let action = (self.decide)(Stop::Exit(&call, result));
            if let Some(error) = error {
                registers.rax = (-i64::from(error as i32)).cast_unsigned();
            }
            if let Some((place, value)) = replaced {
                // The program finds its argument as it has left it.
                *call::argument(&mut registers, place) = value;
            }
            if error.is_some() || replaced.is_some() {
                let _ = ptrace::setregs(pid, registers);
            }
            if let Action::Fail(_) | Action::RunAndFail(_) | Action::Replace(..) = action {
                panic!("{action:?} at the exit of {}", call.name());
            }
            action
        } else {
            let call = Call::new(pid, thread.process, thread.index, thread.calls, &registers);
            thread.calls += 1;
            let action = (self.decide)(Stop::Entry(&call));
            let mut replaced = None;
            let error = match action {
                Action::Fail(error) => {
                    // There is no call of this number.
                    registers.orig_rax = u64::MAX;
                    Some(error)
                }
                Action::RunAndFail(error) => Some(error),
                Action::Replace(index, value) => {
                    let argument = call::argument(&mut registers, index);
                    replaced = Some((index, std::mem::replace(argument, value)));
                    None
                }
                Action::Run | Action::Signal(_) | Action::Release => None,
            };
            if !matches!(action, Action::Run) {
                let _ = ptrace::setregs(pid, registers);
            }
            thread.inside = Some(Inside { call, error, replaced });
            action
        };
        match action {
            // The call of a thread that is killed here is not made.
            Action::Signal(signal) => drop(kill(self.root, signal)),
            Action::Release => self.is_released = true,
            Action::Run | Action::Fail(_) | Action::RunAndFail(_) | Action::Replace(..) => {}
        }
        self.resume(pid, None);
    }

    /// Errors mean that it was killed meanwhile, which comes as a status of its own.
    fn resume(&self, pid: Pid, signal: Option<Signal>) {
        let is_inside = self.threads.get(&pid).is_some_and(|thread| thread.inside.is_some());
        let is_program = self.threads.get(&pid).is_some_and(|thread| thread.is_program);
        // An error is still to be reported for a call that has begun.
        let stops = self.has_begun && (!self.is_released && (is_program || self.follows));
        let _ = if stops || is_inside && !self.is_released {
            ptrace::syscall(pid, signal)
        } else {
            ptrace::cont(pid, signal)
        };
    }

    /// Lets what the program started end; returns how many had to be killed.
    fn watch_orphans(&mut self) -> usize {
        self.is_released = true;
        let started = Instant::now();
        while started.elapsed() < ORPHAN_PATIENCE {
            match wait(WaitPidFlag::WNOHANG) {
                None => return 0,
                Some(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(1)),
                Some(status) => self.handle(status),
            }
        }
        let orphans: Vec<_> = self.threads.values().map(|thread| thread.process).collect();
        for process in &orphans {
            let _ = kill(*process, Signal::SIGKILL);
        }
        while let Some(status) = wait(WaitPidFlag::empty()) {
            self.handle(status);
        }
        orphans.len()
    }
}
