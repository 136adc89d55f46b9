//! What an inode has besides its kind, and which values of it no file system has.

use std::collections::BTreeMap;

use crate::content::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::xattrs;

/// A point in time: seconds since 1970-01-01 00:00:00 UTC, negative before, and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds since the epoch.
    pub seconds: i64,
    /// 0 to 999,999,999, always counted forward.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// Refuses a second or more of nanoseconds.
    pub(crate) fn check(self) -> Result<()> {
        if self.nanoseconds >= 1_000_000_000 {
            return Err(refuse("the time has a second or more of nanoseconds"));
        }
        Ok(())
    }
}

/// Extended attributes: full names (`security.selinux`) and values.
pub type Xattrs = BTreeMap<Box<[u8]>, Secret>;

/// What an inode has besides its kind. A tree takes no values out of their ranges; what is
/// changed in a tree later is checked by the plan of the image.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Permission bits, set-id and sticky bits: 0 to 0o7777.
    pub mode: u16,
    /// Owner: any but `u32::MAX`, which Linux takes for none.
    pub uid: u32,
    /// Group: any but `u32::MAX`, which Linux takes for none.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes, whose names are neither empty nor hold a NUL.
    pub xattrs: Xattrs,
}

impl Metadata {
    /// Refuses what no inode of Linux has, whatever the format.
    pub(crate) fn check(&self) -> Result<()> {
        if self.mode > 0o7777 {
            return Err(refuse(format!("mode {:o} is out of range: at most 7777", self.mode)));
        }
        for (id, what) in [(self.uid, "owner"), (self.gid, "group")] {
            if id == u32::MAX {
                let message = format!("{what} {id} is out of range: Linux takes it for none");
                return Err(refuse(message));
            }
        }
        self.mtime.check()?;
        self.xattrs.keys().try_for_each(|name| xattrs::check_name(name))
    }
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unrepresentable, message)
}
