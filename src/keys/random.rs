//! Random bytes of the kernel.

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::report::{Exit, Failure};

/// Fills `bytes` with random ones; the error, of exit code 5, is the kernel's refusal.
pub fn fill(bytes: &mut [u8]) -> Result<(), Failure> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // A long request may be cut short by a signal.
        match retry_on_intr(|| getrandom(&mut *rest, GetRandomFlags::empty())) {
            Ok(got) if got > 0 => filled += got,
            Ok(_) | Err(_) => {
                return Err(Failure::new(Exit::Policy, "the system gives no random bytes"));
            }
        }
    }
    Ok(())
}
