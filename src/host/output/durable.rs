//! How files and names come onto the disk: one by one, or many at once.
//!
//! Invariant: what is reported as done is on the disk. `syncfs` promises that only where the
//! kernel writes a file system of its own, and tells of its errors since Linux 5.8; everywhere
//! else each file is synced alone, however many there are.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{fstat, fstatfs};
use rustix::io::{Errno, retry_on_intr};

use super::Subject;
use crate::report::Failure;

/// From so many files of one file system on, syncing all of it costs less than syncing each
/// (measured on ext4: of 8 files each cost 0.6 to 5 ms alone, and 0.1 ms together). It is not so
/// of directories: the first that is synced brings the changes of all of them along.
const MANY: usize = 8;
/// File systems whose `syncfs` promises for each file what `fsync` does: ext4 (with ext2 and
/// ext3), XFS, Btrfs, and tmpfs, of which nothing outlives a crash. That of FUSE, for one, does
/// not ask the server to write anything.
const SYNCED_AS_A_WHOLE: [u64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994];
/// The first Linux whose `syncfs` tells of what could not be written.
const TELLING_LINUX: (u32, u32) = (5, 8);

/// A file that has to be on the disk before something else happens.
pub(super) struct Unsynced<'a> {
    pub(super) file: &'a File,
    pub(super) subject: &'a Subject,
}

impl Unsynced<'_> {
    /// Waits until the file is on the disk.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        sync_file(self.file).map_err(|error| self.failure(error))
    }

    /// The failure of [`sync`](Self::sync).
    pub(super) fn failure(&self, error: Errno) -> Failure {
        self.subject.failure("write", error)
    }
}

/// Makes content durable.
pub(super) fn sync_file(file: impl AsFd) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::fsync(&file))
}

/// Makes a rename durable. Some network file systems cannot sync a directory alone: there
/// the whole file system is synced.
pub(super) fn sync_directory(directory: impl AsFd) -> Result<(), Errno> {
    match retry_on_intr(|| rustix::fs::fsync(&directory)) {
        Err(Errno::INVAL | Errno::OPNOTSUPP) => rustix::fs::syncfs(directory),
        outcome => outcome,
    }
}

/// Makes the content of all these durable; returns what came of each. All were open before any
/// was written.
pub(super) fn sync_files(files: &[&File]) -> Vec<Result<(), Errno>> {
    let synced = if files.len() < MANY { Vec::new() } else { sync_file_systems(files) };
    let is_done = |index| synced.get(index) == Some(&true);
    let outcome = |(index, file)| if is_done(index) { Ok(()) } else { sync_file(file) };
    files.iter().enumerate().map(outcome).collect()
}

/// Syncs each file system that holds many of the files; returns of each file whether it is on
/// the disk by that. Where it fails, each file tells whether it is concerned.
fn sync_file_systems(files: &[&File]) -> Vec<bool> {
    let devices: Vec<_> =
        files.iter().map(|file| fstat(file).ok().map(|found| found.st_dev)).collect();
    let mut synced = vec![false; files.len()];
    let mut seen = Vec::new();
    for (file, device) in files.iter().zip(&devices) {
        if seen.contains(device) {
            continue;
        }
        seen.push(*device);
        let count = devices.iter().filter(|other| *other == device).count();
        if device.is_some()
            && count >= MANY
            && is_synced_as_a_whole(file)
            && rustix::fs::syncfs(file).is_ok()
        {
            let same = synced.iter_mut().zip(&devices).filter(|(_, other)| *other == device);
            same.for_each(|(is_synced, _)| *is_synced = true);
        }
    }
    synced
}

fn is_synced_as_a_whole(file: impl AsFd) -> bool {
    let kind = fstatfs(file).ok().and_then(|found| u64::try_from(found.f_type).ok());
    kind.is_some_and(|kind| SYNCED_AS_A_WHOLE.contains(&kind)) && tells_errors()
}

/// Whether the kernel is new enough.
fn tells_errors() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_str().unwrap_or_default();
    version(release).is_some_and(|version| version >= TELLING_LINUX)
}

/// The first two numbers of a release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_whatever_is_behind_its_numbers() {
        for (release, expected) in [
            ("5.8.0", Some((5, 8))),
            ("6.18.44-fc-v657", Some((6, 18))),
            ("4.19", Some((4, 19))),
            ("5.10-rc1+", Some((5, 10))),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
    }
}
