//! A file that is made once and never replaced: a key.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use rustix::io::retry_on_intr;

use super::durable::sync_directory;
use super::output_name::{Id, OutputName};
use super::temporary::{Taken, Temporary};
use super::{Permissions, leftovers, private_directory, widen};
use crate::report::{self, Exit, Failure};

/// Completes what the maker of a file may have left undone when it was killed, for a file that
/// [`create_once`] has found: removes temporaries, which hold keys that nobody used or are a
/// second name of this file, and brings its name onto the disk. Nothing is done where the
/// directory cannot be opened. Errors are of [`Exit::Output`].
pub fn finish_once(path: &Path) -> Result<(), Failure> {
    let Ok(mut target) = OutputName::open(path) else { return Ok(()) };
    // The hint would speak of an old image, and this is a key.
    target.subject.hint = None;
    leftovers::remove(&target, &[], Permissions::default());
    sync_directory(&target.folder().fd).map_err(|error| target.subject.failure("write", error))
}

/// Makes the file at `path` with this content, and with the owner and mode of `permissions`;
/// false where something is there already, which stays as it is, whoever put it there and
/// when. Of several builders that make one at the same time one succeeds, and all find
/// the same file.
///
/// The file takes its name when it is complete and on the disk, and when this
/// returns the name is there too, also that of another builder's file. Errors are of
/// [`Exit::Output`].
pub fn create_once(path: &Path, content: &[u8], permissions: Permissions) -> Result<bool, Failure> {
    let mut target = OutputName::open(path)?;
    target.subject.hint = None;
    leftovers::remove(&target, &[], permissions);
    let (mut file, mut temporary) = Temporary::create(&target, None)?;
    let placed = file
        .write_all(content)
        .and_then(|()| Ok(widen(&file, permissions)?))
        .and_then(|()| Ok(retry_on_intr(|| rustix::fs::fsync(&file))?))
        .map_err(|error| target.subject.failure("write", error))
        .and_then(|()| take_name(&mut temporary, &target, &mut file, permissions));
    if let Ok(true) = placed {
        temporary.forget();
        look_again(&target, temporary.id())?;
    }
    temporary.remove();
    private_directory::tidy(&target);
    let is_placed = placed?;
    sync_directory(&target.folder().fd).map_err(|error| {
        let shown = &target.subject.shown;
        let reason = report::reason(&error.into());
        let message = format!("cannot write the directory of {shown} to the disk: {reason}");
        Failure::new(Exit::Output, message)
            .hint("the file is in place, but a crash of the machine may undo that")
    })?;
    Ok(is_placed)
}

/// False where the name is taken. Where a file system cannot give a name without replacing what
/// has it, no key is made: of two builds at the same time one would lose its key.
fn take_name(
    temporary: &mut Temporary,
    target: &OutputName,
    file: &mut File,
    permissions: Permissions,
) -> Result<bool, Failure> {
    match temporary.take_name(target, file, &target.entry, permissions)? {
        Taken::Yes => Ok(true),
        Taken::No => Ok(false),
        Taken::Never => {
            let reason = "its file system can neither link files nor rename without replacing";
            Err(target.subject.refusal("make", reason).hint("make it elsewhere and copy it there"))
        }
    }
}

/// An error where another file has taken the name right after ours: then the key is lost.
fn look_again(target: &OutputName, file: Id) -> Result<(), Failure> {
    let reason = match target.entry.leads_to(file) {
        Ok(true) => return Ok(()),
        Ok(false) => "another file has taken its place".to_owned(),
        Err(error) => report::reason(&error.into()),
    };
    Err(target.subject.refusal("find", &reason).hint("the new key is not used for anything"))
}
