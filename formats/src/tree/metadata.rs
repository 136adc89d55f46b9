//! What an inode has besides its kind, and which values of it no file system has.

use std::collections::BTreeMap;

use super::{Mode, Timestamp};
use crate::content::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::xattrs;

/// Extended attributes: full names (`security.selinux`) and values.
pub type Xattrs = BTreeMap<Box<[u8]>, Secret>;

/// What an inode has besides its kind. A tree takes no values out of their ranges; what is
/// changed in a tree later is checked by the plan of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits, set-id and sticky bits.
    pub mode: Mode,
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
        for (id, what) in [(self.uid, "owner"), (self.gid, "group")] {
            if id == u32::MAX {
                let message = format!("{what} {id} is out of range: Linux takes it for none");
                return Err(refuse(message));
            }
        }
        self.xattrs.keys().try_for_each(|name| xattrs::check_name(name))
    }
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unrepresentable, message)
}
