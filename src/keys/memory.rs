//! Keeps keys out of the swap.

/// Locks the pages of `bytes` into memory, for as long as the process lives: pages hold
/// other things as well, and unlocking one would unlock its neighbours.
///
/// Where the limit of locked memory (`ulimit -l`) or a sandbox forbids it, they stay
/// as they are: most systems encrypt their swap or have none, and a build is short.
pub fn hold(bytes: &[u8]) {
    hold_range(bytes.as_ptr(), bytes.len());
}

/// Locks a range into memory that is not a slice, such as a cipher's expanded key.
pub fn hold_range(start: *const u8, length_bytes: usize) {
    if let Ok(guard) = region::lock(start, length_bytes) {
        std::mem::forget(guard);
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
