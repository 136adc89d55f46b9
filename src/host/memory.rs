//! Where keys are in memory: in pages that no swap gets, and not for longer than needed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use credimg_formats::without_traces;
use credimg_formats::{Secret, without_traces_below};

use crate::report;

/// Whether people know that there is not enough memory that may be locked.
static IS_SAID: AtomicBool = AtomicBool::new(false);

/// How far down the stack is looked at, in pages: 1 MiB. What lies deeper is not overwritten.
const PAGES: usize = 256;

/// Runs the whole program, and overwrites whatever part of the stack it used, up to 1 MiB. To be
/// called before [`super::hardening::harden`], after which the kernel tells nothing of it any more.
pub fn without_traces_of_all<T>(program: impl FnOnce() -> T) -> T {
    let pages = File::open("/proc/self/pagemap").ok();
    without_traces_below(|| used_stack_bytes(pages.as_ref()?), program)
}

/// How many bytes below the caller's frame were ever written to, at most.
fn used_stack_bytes(pages: &File) -> Option<usize> {
    let page_bytes = region::page::size();
    let mut entries = [[0_u8; 8]; PAGES];
    let first = (entries.as_ptr().addr() / page_bytes).checked_sub(PAGES)?;
    let offset = u64::try_from(first).ok()?.checked_mul(8)?;
    pages.read_exact_at(entries.as_flattened_mut(), offset).ok()?;
    // The two highest bits say that it is in memory, or in the swap (pagemap(5)).
    let lowest = entries.iter().position(|entry| u64::from_ne_bytes(*entry) >> 62 != 0);
    // That of the entries themselves and one more, as the caller's frame is above.
    let used = PAGES - lowest.unwrap_or(PAGES) + 2;
    used.checked_mul(page_bytes)
}

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
    fn the_used_part_of_the_stack_is_known() {
        // On a stack that nobody has used before.
        let deep = |bytes: usize| {
            let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
                let pages = File::open("/proc/self/pagemap").unwrap();
                let before = used_stack_bytes(&pages).unwrap();
                use_stack(bytes);
                (before, used_stack_bytes(&pages).unwrap())
            });
            thread.unwrap().join().unwrap()
        };
        let (before, after) = deep(200 << 10);
        assert!(before < 100 << 10, "{before}");
        assert!((200 << 10..400 << 10).contains(&after), "{after}");
        assert!(deep(0).1 < 100 << 10);
    }

    /// Writes to at least so many bytes of the stack.
    #[inline(never)]
    fn use_stack(bytes: usize) {
        let mut room = [0_u8; 1 << 10];
        std::hint::black_box(&mut room).fill(1);
        if let Some(rest) = bytes.checked_sub(1 << 10) {
            use_stack(rest);
        }
        std::hint::black_box(&room);
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
