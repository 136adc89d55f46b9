//! Where keys are in memory: in pages that no swap gets, and not for longer than needed.

use std::sync::atomic::{AtomicBool, Ordering};

use credimg_formats::Secret;
pub(crate) use credimg_formats::without_traces;

use crate::report;

/// Whether people know that there is not enough memory that may be locked.
static IS_SAID: AtomicBool = AtomicBool::new(false);

/// Locks the pages of `bytes` into memory, for as long as the process lives: pages hold
/// other things as well, and unlocking one would unlock its neighbours.
///
/// Where the limit of locked memory (`ulimit -l`) or a sandbox forbids it, they stay
/// as they are, and a warning says so once: most systems encrypt their swap or have none,
/// and a build is short.
pub(crate) fn hold(bytes: &[u8]) {
    hold_range(bytes.as_ptr(), bytes.len());
}

/// Locks the pages of a secret, and gives it back.
pub(crate) fn held(secret: Secret) -> Secret {
    hold(secret.expose());
    secret
}

/// Locks a range into memory that is not a slice, such as a cipher's expanded key.
pub(crate) fn hold_range(start: *const u8, length_bytes: usize) {
    if length_bytes == 0 || !crate::host::KEEPS_PROMISES {
        return;
    }
    match region::lock(start, length_bytes) {
        Ok(guard) => std::mem::forget(guard),
        Err(_) if IS_SAID.swap(true, Ordering::Relaxed) => {}
        Err(_) => report::warn(
            "keys may go to the swap: the limit of locked memory (ulimit -l) is too low",
        ),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    /// What the kernel says is locked, in KiB.
    fn locked() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn memory_is_locked() {
        let before = locked();
        // Far more than other tests hold at the same time, and within everybody's limit.
        let bytes = vec![0; 64 << 10];
        hold(&bytes);
        assert!(locked() >= before + 64, "{before} KiB before, {} after", locked());
    }
}
