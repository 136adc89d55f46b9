//! Which file it is, and what stays the same while nobody writes to it.

use rustix::fs::Stat;

/// Device and inode number: which file it is, whatever its name.
pub(crate) type FileId = (u64, u64);

/// What stays the same while a file is not written to. The change time betrays
/// even a rewrite in place whose size and modification time were put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    id: FileId,
    size_bytes: u64,
    // There may be one for each of many files: times are not pairs, which take more.
    modified_seconds: i64,
    changed_seconds: i64,
    modified_nanoseconds: u32,
    changed_nanoseconds: u32,
}

impl Identity {
    pub(crate) fn of(stat: &Stat) -> Self {
        // Less than a second of them.
        let nanoseconds = |count| u32::try_from(wide(count)).unwrap_or(u32::MAX);
        Self {
            id: file_id(stat),
            size_bytes: size_bytes(stat),
            modified_seconds: stat.st_mtime,
            changed_seconds: stat.st_ctime,
            modified_nanoseconds: nanoseconds(stat.st_mtime_nsec),
            changed_nanoseconds: nanoseconds(stat.st_ctime_nsec),
        }
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

/// Which file it is.
pub(crate) fn file_id(stat: &Stat) -> FileId {
    (wide(stat.st_dev), wide(stat.st_ino))
}

/// Size in bytes.
pub(crate) fn size_bytes(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// The fields of `Stat` have other widths on other machines.
pub(crate) fn wide(value: impl Into<u64>) -> u64 {
    value.into()
}
