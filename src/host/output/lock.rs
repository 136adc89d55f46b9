//! The lock of a builder on the file that it writes (fcntl(2), open file description locks).
//!
//! flock(2) would not do: whoever can read a file can hold its lock, and so make its owner
//! wait. A lock of fcntl(2) for writing needs a descriptor that can write, and only the owner
//! gets one of a private file. Locks that others hold for reading are seen as such.

use std::fs::File;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::io::Errno;

/// Far behind every image, and away from the bytes by whose locks QEMU tells who has
/// an image open.
const BYTE: libc::off_t = 1 << 62;

/// Who has locked a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    /// Somebody who can write it: a builder, which lives.
    Builder,
    /// Somebody who can read it, which says nothing.
    Reader,
}

/// Whether a lock was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// It is held until the last descriptor of this opening is closed, also by a kill.
    Taken,
    /// Somebody else has one.
    Held,
    /// The file system knows no locks.
    Unknown,
}

/// Locks the file for writing; it has to be open for that.
pub(super) fn lock(file: &File) -> Result<Lock, Errno> {
    match set(file, libc::F_WRLCK) {
        Ok(()) => Ok(Lock::Taken),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(Lock::Held),
        Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(Lock::Unknown),
        Err(error) => Err(error),
    }
}

/// Releases the lock. If that fails, the lock is held until the file is closed.
pub(super) fn release(file: &File) {
    let _ = set(file, libc::F_UNLCK);
}

/// Who else has locked the file, which need not be open for writing.
pub(super) fn holder(file: &File) -> Result<Holder, Errno> {
    let mut found = request(libc::F_WRLCK)?;
    retry(|| fcntl(file, FcntlArg::F_OFD_GETLK(&mut found)))?;
    Ok(match libc::c_int::from(found.l_type) {
        libc::F_UNLCK => Holder::Nobody,
        libc::F_RDLCK => Holder::Reader,
        _ => Holder::Builder,
    })
}

fn set(file: &File, kind: libc::c_int) -> Result<(), Errno> {
    let request = request(kind)?;
    retry(|| fcntl(file, FcntlArg::F_OFD_SETLK(&request)))
}

fn retry(mut call: impl FnMut() -> nix::Result<libc::c_int>) -> Result<(), Errno> {
    loop {
        match call() {
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(Errno::from_raw_os_error(error as i32)),
        }
    }
}

fn request(kind: libc::c_int) -> Result<libc::flock, Errno> {
    let small = |number| libc::c_short::try_from(number).map_err(|_| Errno::INVAL);
    // `l_pid` is 0, as these locks want it.
    Ok(libc::flock {
        l_type: small(kind)?,
        l_whence: small(libc::SEEK_SET)?,
        l_start: BYTE,
        l_len: 1,
        l_pid: 0,
    })
}
