//! Ctrl-C and its kin end a build in order: the handler only notes the signal,
//! and the places that wait or write ask [`check`]. A second one is no reason
//! for haste: `timeout`, service managers and closed terminals send two within a
//! millisecond, and dying at once would leave a command running. SIGQUIT
//! (Ctrl-\) is left alone, for when the place that should ask is stuck.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

use crate::report::{self, Exit, Failure};

static RECEIVED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// What ends a build in order.
const NOTED: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Starts noting SIGINT, SIGTERM and SIGHUP, but for those that the caller left
/// ignored: `nohup` and a script's background jobs want that, and so does a
/// program that takes this one's place. Fails where the system refuses a handler.
pub fn install() -> io::Result<()> {
    let received = RECEIVED.get_or_init(|| Arc::new(AtomicUsize::new(0)));
    for signal in not_ignored(&NOTED) {
        let number = usize::try_from(signal).unwrap_or(usize::MAX);
        signal_hook::flag::register_usize(signal, Arc::clone(received), number)?;
    }
    // SIGXFSZ would kill instead of failing the write. The parent may have left
    // SIGCHLD ignored: then the kernel throws away how a command ended.
    for signal in not_ignored(&[SIGXFSZ]).chain([SIGCHLD]) {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// Those of `signals` that are not ignored, as far as /proc tells: signal N is
/// bit N - 1 there.
fn not_ignored(signals: &[i32]) -> impl Iterator<Item = i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    signals.iter().copied().filter(move |signal| (ignored << 1 >> signal) & 1 == 0)
}

/// From now on the noted signals end the process at once, by themselves: where
/// another program is about to take its place, a note would be lost with it. What
/// was noted before is an error, as of [`check`].
pub fn let_through() -> Result<(), Failure> {
    for signal in not_ignored(&NOTED) {
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

/// An error once a signal was received; asked wherever a build waits or writes.
pub fn check() -> Result<(), Failure> {
    match received() {
        None => Ok(()),
        Some(signal) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            Err(Failure::new(Exit::Interrupted, format!("interrupted by {name}")))
        }
    }
}
