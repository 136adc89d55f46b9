//! The standard streams as the caller has left them.
//!
//! Rust's runtime opens `/dev/null` in place of those that are closed, so that no file of
//! ours gets their numbers. What is written there is gone without an error, and nothing
//! tells such a stream from one that the caller has sent to `/dev/null`: some programs open
//! that for reading and writing as well. So it is looked at before the runtime starts.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::io::Errno;
use rustix::stdio;

use crate::report::{Exit, Failure};

/// A bit for each that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// A standard stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard input.
    Input = 1,
    /// Standard output.
    Output = 2,
    /// Standard error.
    Error = 4,
}

/// Runs before `main` and before anything of the runtime: it asks the kernel, no more.
#[ctor::ctor]
fn note_closed() {
    for stream in [Stream::Input, Stream::Output, Stream::Error] {
        if rustix::io::fcntl_getfd(stream.descriptor()) == Err(Errno::BADF) {
            CLOSED.fetch_or(stream as u8, Ordering::Relaxed);
        }
    }
}

impl Stream {
    pub(crate) fn descriptor(self) -> BorrowedFd<'static> {
        match self {
            Self::Input => stdio::stdin(),
            Self::Output => stdio::stdout(),
            Self::Error => stdio::stderr(),
        }
    }

    /// What messages call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Input => "standard input",
            Self::Output => "standard output",
            Self::Error => "standard error",
        }
    }

    /// An error where the caller has closed it: of [`Exit::Source`] where it is read, else
    /// of [`Exit::Output`].
    pub(crate) fn require_open(self) -> Result<(), Failure> {
        if CLOSED.load(Ordering::Relaxed) & self as u8 == 0 {
            return Ok(());
        }
        let (exit, verb) = match self {
            Self::Input => (Exit::Source, "read"),
            Self::Output | Self::Error => (Exit::Output, "write to"),
        };
        Err(Failure::new(exit, format!("cannot {verb} {}: it is closed", self.name())))
    }

    /// Which file it is; none where it is no regular file.
    pub(crate) fn file_id(self) -> Option<(u64, u64)> {
        let found = rustix::fs::fstat(self.descriptor()).ok()?;
        let is_file = rustix::fs::FileType::from_raw_mode(found.st_mode).is_file();
        is_file.then_some((found.st_dev, found.st_ino))
    }

    /// An error of [`Exit::Output`] where nothing can come of what is written to it: it is
    /// closed, or `/dev/null`.
    pub(crate) fn require_reader(self) -> Result<(), Failure> {
        self.require_open()?;
        // Device 1:3 of the kernel's list (admin-guide/devices.txt).
        let null = rustix::fs::makedev(1, 3);
        let is_null = rustix::fs::fstat(self.descriptor()).is_ok_and(|found| {
            rustix::fs::FileType::from_raw_mode(found.st_mode).is_char_device()
                && found.st_rdev == null
        });
        if is_null {
            let message = format!("cannot write to {}: it is /dev/null", self.name());
            return Err(Failure::new(Exit::Output, message));
        }
        Ok(())
    }
}
