//! A file that is made once and never replaced: a key.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use rustix::fs::{AtFlags, RenameFlags, linkat, renameat_with};
use rustix::io::{Errno, retry_on_intr};

use super::target::Target;
use super::{Options, sync_directory, widen};
use crate::report::Failure;

/// Does for a file that [`create_once`] has found what its maker may have been killed
/// before: removes temporaries, which hold keys that nobody used, or a second name of this
/// one, and brings its name onto the disk. Nothing is done where the directory cannot be
/// opened. Errors are of [`Exit::Output`](crate::report::Exit::Output).
pub fn settle(path: &Path) -> Result<(), Failure> {
    let Ok(target) = Target::open(path) else { return Ok(()) };
    target.remove_stale(None);
    sync_directory(&target.directory).map_err(|error| target.subject.failure("write", error))
}

/// Makes the file at `path` with this content, and with the owner and mode of `options`;
/// false where something
/// is there already, which stays as it is, whoever put it there and when. Of several
/// builders that make one at the same time one succeeds, and all find the same file.
///
/// The file takes its name when it is complete and on the disk, and when this
/// returns the name is there too, also that of another builder's file. Errors are of
/// [`Exit::Output`](crate::report::Exit::Output).
pub fn create_once(path: &Path, content: &[u8], options: Options) -> Result<bool, Failure> {
    let target = Target::open(path)?;
    target.remove_stale(None);
    let (mut file, temporary) = target.create_temporary()?;
    let placed = file
        .write_all(content)
        .and_then(|()| Ok(widen(&file, options)?))
        .and_then(|()| Ok(retry_on_intr(|| rustix::fs::fsync(&file))?))
        .map_err(|error| target.subject.failure("write", error))
        .and_then(|()| place(&target, &temporary));
    if !matches!(placed, Ok(true)) {
        target.unlink(&temporary);
    }
    let is_placed = placed?;
    sync_directory(&target.directory).map_err(|error| target.subject.failure("write", error))?;
    Ok(is_placed)
}

/// Gives the temporary its name unless that is taken.
fn place(target: &Target, temporary: &OsStr) -> Result<bool, Failure> {
    let Target { directory, name, subject } = target;
    let mut outcome = renameat_with(directory, temporary, directory, name, RenameFlags::NOREPLACE);
    if matches!(outcome, Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)) {
        // The file system cannot do it, as NFS: a second name does the same. A crash
        // before the first one goes leaves both.
        outcome = linkat(directory, temporary, directory, name, AtFlags::empty());
        if outcome.is_ok() {
            target.unlink(temporary);
        }
    }
    match outcome {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(subject.failure("create", error)),
    }
}
