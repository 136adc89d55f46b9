//! What is in a directory. Unlike the standard library's listing it does not panic where
//! the directory cannot be closed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, openat, statat};
use rustix::io::{Errno, retry_on_intr};

/// Calls `visit` with the name and the kind of every entry, as far as the file system
/// tells it.
pub(crate) fn visit(
    directory: impl AsFd,
    mut visit: impl FnMut(&OsStr, FileType),
) -> Result<(), Errno> {
    let mut buffer = [const { MaybeUninit::uninit() }; 8192];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) => {
                let name = entry.file_name().to_bytes();
                if !matches!(name, b"." | b"..") {
                    visit(OsStr::from_bytes(name), entry.file_type());
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The names in a directory, in no order.
pub(crate) fn names(path: &Path) -> io::Result<Vec<OsString>> {
    Ok(entries(path, false)?.into_iter().map(|(name, _)| name).collect())
}

/// The names in a directory with their kinds, in no order.
pub(crate) fn kinds(path: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    entries(path, true)
}

fn entries(path: &Path, wants_kinds: bool) -> io::Result<Vec<(OsString, FileType)>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let directory = retry_on_intr(|| openat(CWD, path, flags, Mode::empty()))?;
    let mut entries = Vec::new();
    visit(&directory, |name, kind| entries.push((name.to_owned(), kind)))?;
    if wants_kinds {
        // Not every file system tells the kind.
        for (name, kind) in entries.iter_mut().filter(|(_, kind)| *kind == FileType::Unknown) {
            let stat = statat(&directory, name.as_os_str(), AtFlags::SYMLINK_NOFOLLOW)?;
            *kind = FileType::from_raw_mode(stat.st_mode);
        }
    }
    Ok(entries)
}
