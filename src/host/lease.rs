//! Whether anybody can write to a file at this moment, as the kernel's read leases tell.
//!
//! Times betray who opens a file for writing from now on. They do not betray who has it
//! open already: one `write` sets them once, however long it takes, and a shared mapping
//! that was written to before is written to again without any call. The kernel refuses a
//! read lease while a descriptor or a mapping for writing is there, whoever has it.
//!
//! Whoever opens the file for writing has to wait until a lease is given back. One that is held
//! for longer than it takes to read a small file is given back at once: from then on the times
//! tell.

use std::os::fd::AsFd;

/// How long a lease is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is given back at once.
    Briefly,
    /// Closing the file gives it back, which saves a call: for what is read and closed at once.
    UntilClosed,
}

/// Whether the regular file, which was opened for reading, is open for writing anywhere.
/// False also where that cannot be told: the file belongs to another user (and the caller
/// lacks `CAP_LEASE`), or its file system has no leases. NFS without a delegation says yes.
pub(crate) fn is_open_for_writing(file: impl AsFd, hold: Hold) -> bool {
    crate::host::KEEPS_PROMISES && imp::is_open_for_writing(file, hold)
}

#[cfg(all(feature = "leases", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod imp {
    use std::os::fd::{AsFd, AsRawFd};
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    use signal_hook::consts::SIGIO;

    use super::Hold;
    use crate::host::signals;

    const NAP: Duration = Duration::from_millis(1);
    /// Naps for a file: what a child inherits by a fork is closed by its `exec` within less.
    const FORK_NAPS: u32 = 20;
    /// Naps in all. Where so many were in vain the files are open for longer, or their file
    /// system says so of each.
    const NAPS_MAX: u32 = 50 * FORK_NAPS;
    static NAPS: AtomicU32 = AtomicU32::new(0);

    // linux/fcntl.h, asm-generic/fcntl.h and asm-generic/errno-base.h.
    const F_SETLEASE: i32 = 1024;
    const F_RDLCK: usize = 0;
    const F_UNLCK: usize = 2;
    const EAGAIN: i32 = 11;

    pub(super) fn is_open_for_writing(file: impl AsFd, hold: Hold) -> bool {
        if !can_be_told() {
            return false;
        }
        let descriptor = file.as_fd().as_raw_fd();
        for naps in 0.. {
            match nc::fcntl(descriptor, F_SETLEASE, F_RDLCK) {
                Ok(_) => {
                    match hold {
                        Hold::Briefly => {
                            let _ = nc::fcntl(descriptor, F_SETLEASE, F_UNLCK);
                        }
                        Hold::UntilClosed => {}
                    }
                    return false;
                }
                Err(EAGAIN)
                    if naps < FORK_NAPS && NAPS.fetch_add(1, Ordering::Relaxed) < NAPS_MAX =>
                {
                    signals::pause(NAP);
                }
                Err(EAGAIN) => break,
                Err(_) => return false,
            }
        }
        true
    }

    /// Whether leases can be asked for: where the file is opened for writing within the
    /// short time, SIGIO comes, which ends a process that does not expect it.
    fn can_be_told() -> bool {
        static IS_EXPECTED: OnceLock<bool> = OnceLock::new();
        *IS_EXPECTED.get_or_init(|| {
            signal_hook::flag::register(SIGIO, Arc::new(AtomicBool::new(false))).is_ok()
        })
    }
}

#[cfg(not(all(feature = "leases", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod imp {
    pub(super) fn is_open_for_writing(_: impl std::os::fd::AsFd, _: super::Hold) -> bool {
        false
    }
}

#[cfg(all(test, feature = "leases", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    use super::*;

    #[test]
    fn a_lease_is_held_until_the_file_is_closed_or_not_at_all() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let write = || {
            let flags = OFlags::NONBLOCK.bits().cast_signed();
            OpenOptions::new().write(true).custom_flags(flags).open(&path)
        };
        let reader = File::open(&path).unwrap();
        assert!(!is_open_for_writing(&reader, Hold::Briefly));
        let writer = write().unwrap();
        assert!(is_open_for_writing(&reader, Hold::UntilClosed));
        drop(writer);
        assert!(!is_open_for_writing(&reader, Hold::UntilClosed));
        assert_eq!(write().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(reader);
        assert!(write().is_ok());
    }
}
