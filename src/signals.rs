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

use crate::report::{Exit, Failure};

static RECEIVED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Starts noting SIGINT, SIGTERM and SIGHUP. Fails where the system refuses a handler.
pub fn install() -> io::Result<()> {
    let received = RECEIVED.get_or_init(|| Arc::new(AtomicUsize::new(0)));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let number = usize::try_from(signal).unwrap_or(usize::MAX);
        signal_hook::flag::register_usize(signal, Arc::clone(received), number)?;
    }
    // The parent may have left SIGCHLD ignored: then the kernel throws away how
    // a command ended. SIGXFSZ would kill instead of failing the write.
    for signal in [SIGCHLD, SIGXFSZ] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
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
