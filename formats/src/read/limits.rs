//! What reading one image may cost.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// How much a reader takes of one image before it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most entries of directories that are walked through.
    pub inodes: u64,
    /// Deepest nesting of directories.
    pub depth: usize,
    /// Most bytes of the extended attributes of one inode, names and values together.
    pub xattr_bytes: u64,
    /// Most bytes of metadata that are kept at once.
    pub cache_bytes: usize,
    /// Most bytes of metadata that are read or unpacked in all: see [`Meter`].
    pub work_bytes: u64,
}

impl Limits {
    /// What any honest image of this size needs, and a small factor of it at most.
    pub fn for_image(size_bytes: u64) -> Self {
        Self {
            // An inode and its entry take 41 bytes of SquashFS at least, and 8 KiB of them no less
            // than some 100 bytes when they are compressed.
            inodes: size_bytes.saturating_mul(2).saturating_add(65_536),
            depth: crate::tree::DEPTH_MAX,
            xattr_bytes: 1 << 20,
            cache_bytes: 8 << 20,
            work_bytes: size_bytes.saturating_mul(64).saturating_add(256 << 20),
        }
    }
}

/// Counts the work on one image, whoever does it.
#[derive(Debug)]
pub struct Meter {
    left_bytes: AtomicU64,
}

impl Meter {
    /// A meter that allows so much.
    pub fn new(work_bytes: u64) -> Self {
        Self { left_bytes: AtomicU64::new(work_bytes) }
    }

    /// Takes so much of what is left; [`ErrorKind::Cost`] where there is less.
    pub fn charge(&self, bytes: u64) -> Result<()> {
        let take = |left: u64| left.checked_sub(bytes);
        let taken = self.left_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(|_| ()).map_err(|_| {
            let message = "reading the image takes far more work than an image of its size needs";
            Error::new(ErrorKind::Cost, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_allows_what_it_was_given_and_no_more() {
        let meter = Meter::new(10);
        assert!(meter.charge(9).is_ok());
        assert_eq!(meter.charge(2).map_err(|error| error.kind()), Err(ErrorKind::Cost));
        assert!(meter.charge(1).is_ok());
        assert!(meter.charge(1).is_err());
    }
}
