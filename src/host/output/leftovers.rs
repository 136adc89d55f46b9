//! What killed builders left: what has the name of the turn, and what is in the private
//! directory.

use std::fs::File;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::lock::{self, Holder, Lock};
use super::output_name::{Entry, Id, OutputName};
use super::{Permissions, names, private_directory};
use crate::report;

/// What became of a leftover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is gone: nothing, or another file, has its name.
    Gone,
    /// Its builder lives.
    InUse,
    /// It stays: whether it is in use cannot be found out, or it is no leftover of ours.
    Foreign,
    /// It should be removed, and this error forbids it.
    Stays(Errno),
}

/// Removes what killed builders left, but for what is `own`, as far as that can be done: it
/// must not fail a build. It warns of each one of ours that cannot be removed.
pub(super) fn remove(target: &OutputName, own: &[Entry], permissions: Permissions) {
    for (name, error) in try_all(target, own, permissions) {
        report::warn(&format!(
            "cannot remove {}, which a build that was killed left and which may hold secrets: {}: \
             remove it",
            name.shown(),
            report::reason(&error.into())
        ));
    }
}

/// Removes leftovers as [`remove`] does, to make room for a new image. It warns of none that
/// it cannot remove: that is tried again, with a warning, at the end of the build.
pub(super) fn make_room(target: &OutputName, permissions: Permissions) {
    try_all(target, &[], permissions);
}

/// Removes those temporaries that no builder uses any more, and the private directory where
/// it is empty then; returns those that stay, and why.
fn try_all(target: &OutputName, own: &[Entry], permissions: Permissions) -> Vec<(Entry, Errno)> {
    let mut stay = Vec::new();
    let mut try_one = |name: Entry| {
        let fate = remove_unused(target, &name, permissions);
        if let Ok(Fate::Stays(error)) = fate {
            stay.push((name, error));
        }
        fate
    };
    // The name of the turn comes first: it may be a second name of another leftover. Whose turn
    // it is needs what waits in the directory, and cleans up itself.
    if try_one(turn_name(target)) == Ok(Fate::InUse) {
        return stay;
    }
    let Some(folder) = private_directory::find(target) else { return stay };
    let mut names = Vec::new();
    // What cannot be seen is looked for again by the next build.
    let _ = folder.visit(|name, _| names.push(name.to_owned()));
    for name in names {
        if own.iter().all(|own| own.name != name) {
            // An error means that it is gone or not ours.
            let _ = try_one(Entry { folder: folder.clone(), name });
        }
    }
    private_directory::tidy(target);
    stay
}

/// The temporary name that all builders of the target know.
pub(super) fn turn_name(target: &OutputName) -> Entry {
    target.beside(names::turn(&target.entry.name))
}

/// Removes a temporary that nobody uses any more.
pub(super) fn remove_unused(
    target: &OutputName,
    name: &Entry,
    permissions: Permissions,
) -> Result<Fate, Errno> {
    let Some(seen) = name.stat()? else { return Ok(Fate::Gone) };
    let is_turn = name.name == turn_name(target).name;
    let owners = [Some(rustix::process::geteuid().as_raw()), permissions.owner.map(|(uid, _)| uid)];
    // A file with a second name is somebody's, and no leftover. There are two exceptions: the
    // second name is the target's, as in the middle of a rename by link and unlink, and the name
    // of the turn may stand beside a temporary's.
    let is_alone = seen.st_nlink == 1 || seen.st_nlink == 2 && (is_turn || is_at(target, &seen));
    if !owners.contains(&Some(seen.st_uid)) || !is_regular(&seen) || !is_alone {
        return Ok(Fate::Foreign);
    }
    let id = Id::from(&seen);
    let file = match open(name, &seen) {
        Err(Errno::NOENT) => return Ok(Fate::Gone),
        opened => opened?,
    };
    match lock::lock(&file)? {
        Lock::Taken => {}
        Lock::Unknown => return Ok(Fate::Foreign),
        Lock::Held => match lock::holder(&file)? {
            Holder::Builder => return Ok(Fate::InUse),
            // A lock for reading does not keep a random name from being removed: no living
            // builder has it. The name of the turn may be the next builder's at any instant.
            Holder::Reader | Holder::Nobody if is_turn => return Ok(Fate::Foreign),
            Holder::Reader | Holder::Nobody => {}
        },
    }
    if Id::from(&rustix::fs::fstat(&file)?) != id || !name.leads_to(id)? {
        // Its builder has finished, or somebody else has removed it.
        return Ok(Fate::Gone);
    }
    Ok(name.unlink().map_or_else(Fate::Stays, |()| Fate::Gone))
}

/// Opens a leftover for writing, as its lock wants. One that was about to be put in
/// place may have a mode such as 0440 already.
fn open(name: &Entry, seen: &Stat) -> Result<File, Errno> {
    let open = |access: OFlags| name.open(access | OFlags::NONBLOCK, Mode::empty());
    match open(OFlags::RDWR) {
        Err(Errno::ACCESS) if seen.st_nlink == 1 => {
            let file = open(OFlags::RDONLY)?;
            if Id::from(&rustix::fs::fstat(&file)?) != Id::from(seen) {
                return Err(Errno::ACCESS);
            }
            rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
            open(OFlags::RDWR)
        }
        opened => opened,
    }
}

fn is_at(target: &OutputName, seen: &Stat) -> bool {
    let there = target.entry.stat();
    there.is_ok_and(|there| there.is_some_and(|there| Id::from(&there) == Id::from(seen)))
}

fn is_regular(seen: &Stat) -> bool {
    FileType::from_raw_mode(seen.st_mode) == FileType::RegularFile
}
