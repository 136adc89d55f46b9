//! Files that are made once and never replaced: keys.

use std::io::Write;
use std::path::Path;

use rustix::fs::{AtFlags, RenameFlags, linkat, renameat_with};
use rustix::io::{Errno, retry_on_intr};

use super::sync_directory;
use super::target::Target;
use crate::report::Failure;

/// Removes what killed builders left of their attempts to make `path`: without it a key
/// would stay there under a second name, or one that nobody used. What cannot be removed,
/// or looked for, stays.
pub fn remove_leftovers(path: &Path) {
    if let Ok(target) = Target::open(path) {
        target.remove_stale(None);
    }
}

/// Makes the file `path` of mode 0600 with this content, whole and on the disk when
/// this returns. Whatever has the name already is left as it is, and the result is
/// false: of two that race for one name one makes it. Errors are of exit code 7.
pub fn create_new(path: &Path, content: &[u8]) -> Result<bool, Failure> {
    let target = Target::open(path)?;
    let Target { directory, name, subject } = &target;
    // A name that is taken has this hint.
    if subject.hint.is_some() {
        return Ok(false);
    }
    target.remove_stale(None);
    let failure = |error: Errno| subject.failure("write", error);
    let (mut file, temporary) = target.create_temporary()?;
    let made = file
        .write_all(content)
        .map_err(|error| subject.failure("write", error))
        .and_then(|()| retry_on_intr(|| rustix::fs::fsync(&file)).map_err(failure))
        .and_then(|()| {
            let only_new = RenameFlags::NOREPLACE;
            match renameat_with(directory, &temporary, directory, name, only_new) {
                // The file system cannot do it, as NFS: a second name never replaces either.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    linkat(directory, &temporary, directory, name, AtFlags::empty())
                }
                renamed => renamed,
            }
            .map(|()| true)
            .or_else(|error| if error == Errno::EXIST { Ok(false) } else { Err(failure(error)) })
        });
    // Gone already where it was renamed.
    target.unlink(&temporary);
    let made = made?;
    sync_directory(directory).map_err(failure)?;
    Ok(made)
}
