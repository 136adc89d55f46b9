//! What can go wrong at a system call.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::tracer::{Action, Call, Errno, Signal};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The call is not made, and fails.
    Fail(Errno),
    /// The call is made, and reports an error all the same.
    Done(Errno),
    /// From this call on all that writes to the file system fails.
    From(Errno),
    /// From this call on all of its name fail.
    Alike(Errno),
    /// The call transfers one byte.
    One,
    /// The call transfers half of what it shall.
    Half,
    /// A signal comes just before.
    Signal(Signal),
}

/// A system call of a run: the n-th of its name in its thread. (Some calls, those of
/// the heap among them, come once more or less from run to run.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) thread: usize,
    pub(super) occurrence: usize,
    pub(super) name: &'static str,
    length: Option<u64>,
    creates: bool,
    /// Whether it waits for another thread. What wakes one is never interrupted.
    waits: bool,
    pub(super) descriptor: u64,
}

const ERRORS: [Errno; 6] =
    [Errno::ENOSPC, Errno::EIO, Errno::EINTR, Errno::ENOMEM, Errno::EACCES, Errno::EDQUOT];
/// `open(2)`
const CREATE: u64 = 0o100;
/// Of `futex(2)`: to wait, to do so for a set of bits, and what is no flag.
const WAITS: [u64; 2] = [0, 9];
const OPERATION: u64 = 0x7f;

/// What cannot fail, or not so: of the C library, whose own mistakes end the process.
const INFALLIBLE: &[&str] = &[
    "clock_gettime",
    "exit",
    "exit_group",
    "geteuid",
    "getpid",
    "gettid",
    "getuid",
    "restart_syscall",
    "rseq",
    "rt_sigprocmask",
    "rt_sigreturn",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
];
/// They fail for want of memory alone.
const OF_MEMORY: &[&str] = &["madvise", "mmap", "mprotect", "mremap", "munmap"];
/// They change a file system, and a remote one may have done what it reports an error of.
const CHANGES: &[&str] = &[
    "copy_file_range",
    "fallocate",
    "fchmod",
    "fchown",
    "fdatasync",
    "flock",
    "fremovexattr",
    "fsetxattr",
    "fsync",
    "ftruncate",
    "linkat",
    "mkdirat",
    "pwrite64",
    "rename",
    "renameat",
    "renameat2",
    "sendfile",
    "symlinkat",
    "syncfs",
    "unlink",
    "unlinkat",
    "write",
    "writev",
];

impl Point {
    pub(super) fn new(call: &Call, occurrence: usize) -> Self {
        let flags = if call.name() == "openat" { call.arguments[2] } else { 0 };
        Self {
            thread: call.thread_index,
            occurrence,
            name: call.name(),
            length: call.length().map(|(_, length)| length),
            creates: flags & CREATE != 0,
            waits: call.name() == "futex" && WAITS.contains(&(call.arguments[1] & OPERATION)),
            descriptor: call.arguments[0],
        }
    }

    /// One of no run.
    pub(super) fn made_up() -> Self {
        let (length, creates, waits) = (None, false, false);
        Self { thread: 0, occurrence: 0, name: "fsync", length, creates, waits, descriptor: 9 }
    }

    /// Whether it brings a file onto the disk.
    pub(super) fn is_sync(&self) -> bool {
        ["fsync", "fdatasync", "syncfs"].contains(&self.name)
    }

    /// Whether it writes a message.
    pub(super) fn is_message(&self) -> bool {
        self.name == "write" && self.descriptor == 2
    }

    fn changes(&self) -> bool {
        self.creates || CHANGES.contains(&self.name)
    }

    /// Everything that can go wrong here.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let signals = [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT];
        let mut faults: Vec<_> = signals.into_iter().map(Fault::Signal).collect();
        let name = self.name;
        if self.thread > 0 && ["mmap", "mprotect"].contains(&name) {
            // Rust's runtime aborts where a new thread gets no stack for its signals.
        } else if OF_MEMORY.contains(&name) || name == "brk" {
            faults.push(Fault::Fail(Errno::ENOMEM));
        } else if name == "futex" {
            faults.extend(self.waits.then_some(Fault::Fail(Errno::EINTR)));
        } else if name == "close" {
            // Linux closes a descriptor whatever it says.
            faults.extend(ERRORS.map(Fault::Done));
        } else if !INFALLIBLE.contains(&name) && !name.is_empty() {
            faults.extend(ERRORS.map(Fault::Fail));
        }
        if self.changes() {
            let other = match name {
                // What a server says of a second request of the same.
                "rename" | "renameat" | "renameat2" | "unlink" | "unlinkat" => Errno::ENOENT,
                "linkat" | "openat" | "mkdirat" | "symlinkat" => Errno::EEXIST,
                _ => Errno::ESTALE,
            };
            faults.extend([Errno::EIO, other].map(Fault::Done));
            // A transfer that was interrupted tells how far it came.
            if self.length.is_none() {
                faults.push(Fault::Done(Errno::EINTR));
            }
            faults.extend([Errno::EIO, Errno::ENOSPC, Errno::EROFS].map(Fault::From));
            faults.push(Fault::Alike(Errno::EIO));
        }
        if self.length.is_some_and(|length| length > 1) {
            faults.extend([Fault::One, Fault::Half]);
        }
        faults
    }
}

/// Counts calls by thread and name.
#[derive(Default)]
pub(super) struct Counter(HashMap<(usize, &'static str), usize>);

impl Counter {
    /// How many calls of this name came before in the thread.
    pub(super) fn count(&mut self, call: &Call) -> usize {
        let count = self.0.entry((call.thread_index, call.name())).or_default();
        *count += 1;
        *count - 1
    }
}

impl Fault {
    /// What the tracer does at the call.
    pub(super) fn action(self, call: &Call) -> Action {
        match self {
            // The kernel tells of a failure by the old end.
            Self::Fail(_) if call.name() == "brk" => Action::Replace(0, 0),
            Self::Fail(error) | Self::From(error) | Self::Alike(error) => Action::Fail(error),
            Self::Done(error) => Action::RunAndFail(error),
            Self::Signal(signal) => Action::Signal(signal),
            Self::One => call.length().map_or(Action::Run, |(place, _)| Action::Replace(place, 1)),
            Self::Half => call
                .length()
                .map_or(Action::Run, |(place, length)| Action::Replace(place, length.div_ceil(2))),
        }
    }

    /// Whether this later call fails as well.
    pub(super) fn lasts(self, first: &Point, call: &Call) -> Option<Errno> {
        let is_stream = call.name() == "write" && call.arguments[0] <= 2;
        match self {
            Self::Alike(error) => {
                // The kernel has two calls for a rename.
                let is_alike =
                    call.name().trim_end_matches('2') == first.name.trim_end_matches('2');
                (is_alike && !is_stream).then_some(error)
            }
            // Messages still arrive.
            Self::From(error) => {
                let point = Point::new(call, 0);
                (point.changes() && !is_stream).then_some(error)
            }
            Self::Fail(_) | Self::Done(_) | Self::One | Self::Half | Self::Signal(_) => None,
        }
    }

    pub(super) fn is_lasting(self) -> bool {
        matches!(self, Self::From(_) | Self::Alike(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail(error) => write!(f, "fail-{error:?}"),
            Self::Done(error) => write!(f, "done-{error:?}"),
            Self::From(error) => write!(f, "from-{error:?}"),
            Self::Alike(error) => write!(f, "alike-{error:?}"),
            Self::One => f.write_str("one"),
            Self::Half => f.write_str("half"),
            Self::Signal(signal) => f.write_str(signal.as_str()),
        }
    }
}

/// A run as the campaign names it: `SCENARIO/THREAD.CALL.N/FAULT`.
pub(super) fn id(scenario: &str, point: &Point, fault: Fault) -> String {
    let Point { thread, occurrence, name, .. } = point;
    format!("{scenario}/{thread}.{name}.{occurrence}/{fault}")
}

/// The number in a variable of the environment.
pub(super) fn number<T: FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}
