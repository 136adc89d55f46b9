//! What killed builders left beside the output, and the files of an old image.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, Mode, OFlags, Stat, openat};
use rustix::io::Errno;

use super::lock::{self, Holder, Lock};
use super::output_name::{Id, OutputName};
use super::temporary::{is_leftover_name, turn_name};
use super::{IsSidecar, Permissions};
use crate::report;

/// What one look at the directory has found.
#[derive(Default)]
pub(super) struct Beside {
    /// Temporaries, perhaps of builders that live.
    pub(super) leftovers: Vec<OsString>,
    /// Sidecars of an old image. They are regular files of any owner, as an earlier build may
    /// have given them to somebody else. A file with a second name elsewhere counts too: left
    /// here it would be taken for a sidecar of the new image, and its other name keeps it.
    pub(super) sidecars: Vec<OsString>,
}

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

impl Beside {
    /// Looks for leftovers of the target's builders, and for its sidecars.
    pub(super) fn find(
        target: &OutputName,
        is_sidecar: Option<IsSidecar<'_>>,
    ) -> Result<Self, Errno> {
        let mut found = Self::default();
        let mut unknown = Vec::new();
        target.visit(|name, kind| {
            let suffix = name.as_bytes().strip_prefix(target.name.as_bytes());
            let suffix = suffix.and_then(|rest| rest.strip_prefix(b"."));
            if is_leftover_name(name, &target.name) {
                found.leftovers.push(name.to_owned());
            } else if is_sidecar.is_some_and(|is| suffix.is_some_and(is)) {
                match kind {
                    FileType::RegularFile => found.sidecars.push(name.to_owned()),
                    FileType::Unknown => unknown.push(name.to_owned()),
                    FileType::Directory
                    | FileType::Symlink
                    | FileType::Fifo
                    | FileType::Socket
                    | FileType::CharacterDevice
                    | FileType::BlockDevice => {}
                }
            }
        })?;
        // Not every file system tells the kind.
        for name in unknown {
            if target.at(&name)?.is_some_and(|seen| is_regular(&seen)) {
                found.sidecars.push(name);
            }
        }
        Ok(found)
    }
}

/// Removes what killed builders left, as far as that can be done: it must not fail a build.
pub(super) fn remove(target: &OutputName, permissions: Permissions) {
    if let Ok(found) = Beside::find(target, None) {
        remove_these(target, &found.leftovers, permissions);
    }
}

/// Removes leftovers as [`remove`] does, to make room for a new image. It warns of none that
/// it cannot remove: that is tried again, with a warning, at the end of the build.
pub(super) fn make_room(target: &OutputName, permissions: Permissions) {
    if let Ok(found) = Beside::find(target, None) {
        try_these(target, &found.leftovers, permissions);
    }
}

/// Removes those temporaries that no builder uses any more, and warns of each one of ours that
/// cannot be removed.
pub(super) fn remove_these(target: &OutputName, names: &[OsString], permissions: Permissions) {
    for (name, error) in try_these(target, names, permissions) {
        report::warn(&format!(
            "cannot remove {}, which a build that was killed left and which may hold secrets: {}: \
             remove it",
            target.shown(name),
            report::reason(&error.into())
        ));
    }
}

/// Removes those temporaries that no builder uses any more; returns those that stay, and why.
fn try_these<'a>(
    target: &OutputName,
    names: &'a [OsString],
    permissions: Permissions,
) -> Vec<(&'a OsString, Errno)> {
    // The name of the turn comes first: it may be a second name of another leftover.
    let turn = turn_name(target);
    let (first, rest): (Vec<_>, Vec<_>) = names.iter().partition(|name| **name == turn);
    let stays = |name: &'a OsString| match remove_unused(target, name, permissions) {
        Ok(Fate::Stays(error)) => Some((name, error)),
        // An error means that it is gone or not ours.
        Ok(Fate::Gone | Fate::InUse | Fate::Foreign) | Err(_) => None,
    };
    first.into_iter().chain(rest).filter_map(stays).collect()
}

/// Removes a temporary that nobody uses any more.
pub(super) fn remove_unused(
    target: &OutputName,
    name: &OsStr,
    permissions: Permissions,
) -> Result<Fate, Errno> {
    let Some(seen) = target.at(name)? else { return Ok(Fate::Gone) };
    let is_turn = name == turn_name(target);
    let owners = [Some(rustix::process::geteuid().as_raw()), permissions.owner.map(|(uid, _)| uid)];
    // A file with a second name is somebody's, and no leftover. There are two exceptions: the
    // second name is the target's, as in the middle of a rename by link and unlink, and the name
    // of the turn may stand beside a temporary's.
    let is_alone = seen.st_nlink == 1 || seen.st_nlink == 2 && (is_turn || is_at(target, &seen));
    if !owners.contains(&Some(seen.st_uid)) || !is_regular(&seen) || !is_alone {
        return Ok(Fate::Foreign);
    }
    let id = Id::from(&seen);
    let file = match open(target, name, &seen) {
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
    if Id::from(&rustix::fs::fstat(&file)?) != id || !target.leads_to(name, id)? {
        // Its builder has finished, or somebody else has removed it.
        return Ok(Fate::Gone);
    }
    Ok(target.unlink(name).map_or_else(Fate::Stays, |()| Fate::Gone))
}

/// Opens a leftover for writing, as its lock wants. One that was about to be put in
/// place may have a mode such as 0440 already.
fn open(target: &OutputName, name: &OsStr, seen: &Stat) -> Result<File, Errno> {
    let open = |access: OFlags| {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(&target.directory, name, flags, Mode::empty()).map(File::from)
    };
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
    let there = target.at(&target.name);
    there.is_ok_and(|there| there.is_some_and(|there| Id::from(&there) == Id::from(seen)))
}

fn is_regular(seen: &Stat) -> bool {
    FileType::from_raw_mode(seen.st_mode) == FileType::RegularFile
}
