//! A listing put onto the disk, for the tools that make images of directories.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, chmod, chownat, makedev, mknodat,
    utimensat,
};

use crate::support::{Expected, ExpectedKind, Listing};

/// Makes all of it below `root`, which is not there yet, as root may.
pub(crate) fn write(root: &Path, listing: &Listing) {
    let mut first: BTreeMap<&[u8], PathBuf> = BTreeMap::new();
    for (path, entry) in listing {
        let host = root.join(OsStr::from_bytes(path));
        match &entry.kind {
            ExpectedKind::Directory { .. } => std::fs::create_dir(&host).unwrap(),
            ExpectedKind::File { content, same_as, .. } => {
                if let Some(other) = first.get(same_as.as_slice()) {
                    std::fs::hard_link(other, &host).unwrap();
                    continue;
                }
                std::fs::write(&host, content).unwrap();
                first.insert(same_as, host.clone());
            }
            ExpectedKind::Symlink(target) => {
                std::os::unix::fs::symlink(OsStr::from_bytes(target), &host).unwrap();
            }
            ExpectedKind::Special { file_type, device: (major, minor) } => {
                let file_type = FileType::from_raw_mode(*file_type);
                let number = makedev(*major, *minor);
                mknodat(CWD, &host, file_type, Mode::from_raw_mode(0o600), number).unwrap();
            }
        }
    }
    // What is in a directory changes its time; what is below it comes behind it.
    for (path, entry) in listing.iter().rev() {
        settle(&root.join(OsStr::from_bytes(path)), entry);
    }
}

fn settle(host: &Path, entry: &Expected) {
    let Expected { mode, uid, gid, mtime: (seconds, nanoseconds), .. } = entry;
    let (owner, group) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
    chownat(CWD, host, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW).unwrap();
    if !matches!(entry.kind, ExpectedKind::Symlink(_)) {
        chmod(host, Mode::from_raw_mode(*mode)).unwrap();
    }
    let time = Timespec { tv_sec: *seconds, tv_nsec: *nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, host, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
