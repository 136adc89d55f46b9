//! What Ctrl-C and its kin do. As long as nothing would be left behind they end the process by
//! themselves, wherever it waits: the program has no handler then.
//!
//! From [`note`] on, which is called before there is a temporary file or a command, the handler
//! only notes the signal, and the places that wait or write ask [`check`], so that the stack
//! unwinds in order. A second signal is no reason for haste: `timeout`, service managers and
//! closed terminals send two within a millisecond. But a place may be stuck, as a file system
//! of the network can be: then a watchdog ends the process after `GRACE`, by that same signal.
//! A temporary that it leaves is for the next run to remove, a command for its guard to kill.
//! SIGQUIT (Ctrl-\) is left alone.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{CWD, Mode, OFlags, openat};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

use crate::report::{self, Exit, Failure};

/// What ends a build in order.
const NOTED: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];
/// How often the watchdog looks.
const LOOK: Duration = Duration::from_millis(200);
/// How long a build may take to end in order, from when the watchdog has seen the signal.
const GRACE: Duration = Duration::from_millis(500);
/// What the watchdog's stack holds: next to nothing.
const WATCHDOG_STACK_BYTES: usize = 64 << 10;

/// A status is read at once, unless the caller is in a hundred groups.
const STATUS_BYTES: usize = 2 << 10;

/// Which signals the caller left ignored: signal N is bit N - 1.
static IGNORED: OnceLock<u64> = OnceLock::new();
/// Whether the signal was noticed by all who should end, and the rest is to be told.
static IS_ANSWERED: AtomicBool = AtomicBool::new(false);
/// What was noted, once [`note`] has begun.
static RECEIVED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Makes a file that grows too large an error instead of the end, and lets [`note`] work, which
/// does nothing without this. Fails where the system refuses a handler.
pub fn install() -> io::Result<()> {
    // As far as /proc tells.
    IGNORED.get_or_init(|| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let status = openat(CWD, "/proc/self/status", flags, Mode::empty());
        status.ok().and_then(|status| ignored(File::from(status))).unwrap_or(0)
    });
    if !is_ignored(SIGXFSZ) {
        do_nothing_at(SIGXFSZ)?;
    }
    Ok(())
}

/// The ignored signals in a process's status, of which nothing behind them is read.
fn ignored(status: impl Read) -> Option<u64> {
    let mut status = BufReader::with_capacity(STATUS_BYTES, status);
    let mut line = Vec::new();
    while status.read_until(b'\n', &mut line).ok()? > 0 {
        if let Some(mask) = line.strip_prefix(b"SigIgn:") {
            return u64::from_str_radix(str::from_utf8(mask).ok()?.trim(), 16).ok();
        }
        line.clear();
    }
    None
}

/// Starts noting SIGINT, SIGTERM and SIGHUP: to be called before there is anything that a
/// signal must not leave behind. Those that the caller left ignored stay so: `nohup` and a
/// script's background jobs want that, and so does a program that takes this one's place.
pub fn note() -> Result<(), Failure> {
    if IGNORED.get().is_none() || RECEIVED.get().is_some() {
        return Ok(());
    }
    let received = RECEIVED.get_or_init(|| Arc::new(AtomicUsize::new(0)));
    let outcome = begin(received);
    outcome.map_err(|error| {
        let message = format!("cannot listen to signals: {}", report::reason(&error));
        Failure::new(Exit::Policy, message)
    })
}

fn begin(received: &Arc<AtomicUsize>) -> io::Result<()> {
    for signal in NOTED.into_iter().filter(|signal| !is_ignored(*signal)) {
        let number = usize::try_from(signal).unwrap_or(usize::MAX);
        signal_hook::flag::register_usize(signal, Arc::clone(received), number)?;
    }
    // Where the parent left it ignored the kernel throws away how a command ended.
    if is_ignored(SIGCHLD) {
        do_nothing_at(SIGCHLD)?;
    }
    let watchdog = std::thread::Builder::new().stack_size(WATCHDOG_STACK_BYTES);
    watchdog.spawn(watch).map(drop)
}

/// Ends the process when the one who should ask for a signal does not get to it.
fn watch() {
    let none_of_ours = SigSet::from(Signal::SIGWINCH);
    while received().is_none() {
        pause(LOOK);
        // Linux leaves a signal to the first thread alone, even where that waits in a system
        // call which signals do not end. A change of what this one blocks has it look as well.
        let _ = none_of_ours.thread_block().and_then(|()| none_of_ours.thread_unblock());
    }
    pause(GRACE);
    die();
}

/// Waits for so long, or less where the system fails: `sleep` would panic then.
pub(crate) fn pause(duration: Duration) {
    // Nobody in this program ends it before.
    std::thread::park_timeout(duration);
}

fn do_nothing_at(signal: i32) -> io::Result<()> {
    signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))).map(drop)
}

fn is_ignored(signal: i32) -> bool {
    IGNORED.get().is_some_and(|ignored| (ignored << 1 >> signal) & 1 == 1)
}

/// From now on the noted signals end the process at once, by themselves: where
/// another program is about to take its place, a note would be lost with it. What
/// was noted before is an error, as of [`check`].
pub fn let_through() -> Result<(), Failure> {
    if RECEIVED.get().is_none() {
        return Ok(());
    }
    for signal in NOTED.into_iter().filter(|signal| !is_ignored(*signal)) {
        let always = Arc::new(AtomicBool::new(true));
        signal_hook::flag::register_conditional_default(signal, always).map_err(|error| {
            let message = format!("cannot let signals through: {}", report::reason(&error));
            Failure::new(Exit::Policy, message)
        })?;
    }
    check()
}

/// The signal that was received, if any.
pub fn received() -> Option<i32> {
    let number = RECEIVED.get()?.load(Ordering::Relaxed);
    i32::try_from(number).ok().filter(|number| *number != 0)
}

/// Dies by the signal that was received, so that the caller's shell sees it.
pub fn die() -> std::process::ExitCode {
    if let Some(signal) = received() {
        // Returns only where the default action does not end the process.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    std::process::ExitCode::from(Exit::Interrupted as u8)
}

/// Lets `tell` write what there is to say at the end of a run that a signal has ended: [`check`]
/// brings no error meanwhile. The watchdog ends the process all the same where it takes too long.
pub fn answered<T>(tell: impl FnOnce() -> T) -> T {
    IS_ANSWERED.store(true, Ordering::Relaxed);
    let told = tell();
    IS_ANSWERED.store(false, Ordering::Relaxed);
    told
}

/// An error once a signal was received; asked wherever a build waits or writes.
pub fn check() -> Result<(), Failure> {
    match received() {
        None => Ok(()),
        Some(_) if IS_ANSWERED.load(Ordering::Relaxed) => Ok(()),
        Some(signal) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            Err(Failure::new(Exit::Interrupted, format!("interrupted by {name}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ignored_signals_are_found_in_any_status() {
        let many_groups = format!("Groups:\t{}\nSigIgn:\t0000000000001003\n", "1000 ".repeat(1000));
        for (status, expected) in [
            (
                &b"Name:\tcredimg\nSigBlk:\t00000000000000ff\nSigIgn:\t0000000000000005\n"[..],
                Some(5),
            ),
            (b"Name:\t\xff\nSigIgn:\t8000000000000000\nSigCgt:\t1\n", Some(1 << 63)),
            (many_groups.as_bytes(), Some(0x1003)),
            (b"Name:\tcredimg\n", None),
            (b"SigIgn:\tnothing\n", None),
            (b"", None),
        ] {
            assert_eq!(ignored(status), expected);
        }
    }
}
