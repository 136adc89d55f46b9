//! What a file that was extracted has besides its content.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use credimg_formats::{Timestamp, Xattrs};
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chownat, fchmod, fchown,
    fremovexattr, fsetxattr, futimens, lsetxattr, utimensat,
};
use rustix::io::Errno;

use crate::report::{Exit, Failure, reason, shown_bytes};

/// Access lists of Linux (`xattr.h`).
const LISTS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// What a file gets; what is not given stays as it was made.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// Permissions, set-id and sticky bits.
    pub mode: Option<credimg_formats::Mode>,
    /// Time of the last modification.
    pub mtime: Option<Timestamp>,
    /// Owner and group.
    pub owner: Option<(u32, u32)>,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

/// What could not be set.
#[derive(Debug)]
pub(super) struct Unset {
    what: String,
    errno: Errno,
}

impl Unset {
    fn new(what: &str) -> impl Fn(Errno) -> Self {
        move |errno| Self { what: what.to_owned(), errno }
    }

    pub(super) fn into_failure(self, shown: &str) -> Failure {
        let Self { what, errno } = self;
        let message = format!("cannot set {what} of {shown}: {}", reason(&errno.into()));
        let failure = Failure::new(Exit::Output, message);
        match errno {
            Errno::PERM | Errno::ACCESS => failure.hint("the system lets root alone set it"),
            Errno::OPNOTSUPP => failure.hint("the file system of the host has none"),
            _ => failure,
        }
    }
}

impl Attributes {
    /// Sets all of an open file or directory. The owner is the first, because a change of it
    /// clears set-id bits and capabilities; an access list comes behind the mode, of which it
    /// is a part; the time is the last.
    pub(super) fn apply(&self, file: BorrowedFd<'_>) -> Result<(), Unset> {
        if let Some((uid, gid)) = self.owner {
            fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(Unset::new("the owner"))?;
        }
        self.set(file, |name| !LISTS.contains(&name))?;
        if let Some(mode) = self.mode {
            for list in LISTS {
                // What the directory's default list lets in was masked so far.
                match fremovexattr(file, OsStr::from_bytes(list)) {
                    Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => {}
                    Err(errno) => return Err(Unset { what: attribute(list), errno }),
                }
            }
            fchmod(file, Mode::from_raw_mode(mode.into())).map_err(Unset::new("the mode"))?;
        }
        self.set(file, |name| LISTS.contains(&name))?;
        if let Some(mtime) = self.mtime {
            futimens(file, &times(mtime)).map_err(Unset::new("the time"))?;
        }
        Ok(())
    }

    /// Sets those extended attributes that are wanted.
    fn set(&self, file: BorrowedFd<'_>, is_wanted: impl Fn(&[u8]) -> bool) -> Result<(), Unset> {
        for (name, value) in self.xattrs.iter().filter(|(name, _)| is_wanted(name)) {
            fsetxattr(file, OsStr::from_bytes(name), value.expose(), XattrFlags::empty())
                .map_err(|errno| Unset { what: attribute(name), errno })?;
        }
        Ok(())
    }

    /// Sets all but the mode of a symbolic link or a node, which is never opened.
    pub(super) fn apply_to_entry(
        &self,
        directory: BorrowedFd<'_>,
        name: &OsStr,
    ) -> Result<(), Unset> {
        let not_followed = AtFlags::SYMLINK_NOFOLLOW;
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            chownat(directory, name, uid, gid, not_followed).map_err(Unset::new("the owner"))?;
        }
        // There is no call that takes a descriptor and a name.
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        for (attribute_name, value) in &self.xattrs {
            let attribute_name = OsStr::from_bytes(attribute_name);
            lsetxattr(&path, attribute_name, value.expose(), XattrFlags::empty())
                .map_err(|errno| Unset { what: attribute(attribute_name.as_bytes()), errno })?;
        }
        if let Some(mtime) = self.mtime {
            utimensat(directory, name, &times(mtime), not_followed)
                .map_err(Unset::new("the time"))?;
        }
        Ok(())
    }
}

fn attribute(name: &[u8]) -> String {
    format!("the attribute {}", shown_bytes(name))
}

fn times(mtime: Timestamp) -> Timestamps {
    let nanoseconds = mtime.nanoseconds().into();
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.seconds(), tv_nsec: nanoseconds },
    }
}
