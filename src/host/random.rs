//! Random bytes of the kernel. Where it gives none, that is an error of exit code 5,
//! also where a library would panic.

use std::collections::hash_map::RandomState;
use std::panic::{self, AssertUnwindSafe};

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::report::{Exit, Failure};

/// Fills `bytes` with random ones.
pub fn fill(bytes: &mut [u8]) -> Result<(), Failure> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // A long request may be cut short by a signal.
        match retry_on_intr(|| getrandom(&mut *rest, GetRandomFlags::empty())) {
            Ok(got) if got > 0 => filled += got,
            Ok(_) | Err(_) => return Err(refused()),
        }
    }
    Ok(())
}

/// Gives this thread's hash tables their random seed, which all of them share: the first one would
/// panic.
pub(crate) fn seed_tables() -> Result<(), Failure> {
    guarded(RandomState::new).map(drop)
}

/// Runs what panics for no other reason than that there are no random bytes. Nothing is
/// printed of it.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    // Nothing of it is looked at afterwards.
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(hook);
    outcome.map_err(|_| refused())
}

fn refused() -> Failure {
    Failure::new(Exit::Policy, "the system gives no random bytes")
}
