//! The private directory beside the output in which temporaries have their names, and what
//! waits until it can be removed: `.IMAGE.credimg-UID`.
//!
//! It is made when the first name is needed and removed when it is empty. So whether killed
//! builders have left anything is seen by opening it, however many files lie beside the output.
//! Each user has one, and nobody else can make files in it. Where somebody else has put
//! something at its name, or it cannot be made, temporaries have random names beside the
//! output; such a one is not found again after a kill.

use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, mkdirat, openat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::names;
use super::output_name::{Entry, Folder, Id, OutputName};

/// From this attempt on a name is beside the output: something is wrong with the directory.
const MOST_ATTEMPTS: usize = 8;

/// A random name that no file has: in the private directory, which is made where there is
/// none, or else beside the output. `attempt` counts how often a name was asked for in vain.
pub(super) fn fresh_name(target: &OutputName, attempt: usize) -> Result<Entry, Errno> {
    if attempt < MOST_ATTEMPTS
        && let Some(folder) = have(target)
    {
        return Ok(Entry { folder, name: names::random()? });
    }
    Ok(target.beside(names::random_beside(&target.entry.name)?))
}

/// Whether the call on `name` failed because another builder has removed the directory, which
/// was empty. The next fresh name is in a new one.
pub(super) fn is_lost(target: &OutputName, name: &Entry, error: Errno) -> bool {
    if error != Errno::NOENT || Rc::ptr_eq(&name.folder, target.folder()) {
        return false;
    }
    let Ok(own) = fstat(&name.folder.fd) else { return false };
    let is_there = entry(target).leads_to(Id::from(&own)) != Ok(false);
    if !is_there {
        target.private.take();
    }
    !is_there
}

/// The directory, if it is there and is this user's own.
pub(super) fn find(target: &OutputName) -> Option<Rc<Folder>> {
    if let Some(folder) = &*target.private.borrow() {
        return Some(Rc::clone(folder));
    }
    let entry = entry(target);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = retry_on_intr(|| openat(&target.folder().fd, &entry.name, flags, Mode::empty()));
    let fd = opened.ok()?;
    let seen = fstat(&fd).ok()?;
    let is_own = seen.st_uid == rustix::process::geteuid().as_raw()
        && FileType::from_raw_mode(seen.st_mode) == FileType::Directory
        && !Mode::from_raw_mode(seen.st_mode).intersects(Mode::RWXG | Mode::RWXO);
    let folder = is_own.then(|| Rc::new(target.folder().child(&entry.name, fd)))?;
    *target.private.borrow_mut() = Some(Rc::clone(&folder));
    Some(folder)
}

/// Removes the directory if it is empty. One that stays holds what other builders use, or what
/// they, or this one, cannot remove.
pub(super) fn tidy(target: &OutputName) {
    if target.private.take().is_some() {
        let _ = unlinkat(&target.folder().fd, &entry(target).name, AtFlags::REMOVEDIR);
    }
}

fn have(target: &OutputName) -> Option<Rc<Folder>> {
    find(target).or_else(|| {
        let (fd, name) = (&target.folder().fd, entry(target).name);
        // Whatever this reports: what is there afterwards decides.
        let made = mkdirat(fd, &name, Mode::RWXU);
        let found = find(target);
        if made.is_ok() && found.is_none() {
            // A umask has taken our own permissions.
            let _ = unlinkat(fd, &name, AtFlags::REMOVEDIR);
        }
        found
    })
}

fn entry(target: &OutputName) -> Entry {
    target.beside(names::private_directory(&target.entry.name))
}
