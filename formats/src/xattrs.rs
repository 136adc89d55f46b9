//! Which inode can have which extended attribute on Linux, whatever format holds it.

use crate::error::{Error, ErrorKind, Result};
use crate::tree::{Kind, Xattrs};

/// What `listxattr` of Linux returns at most: all names, each with a NUL (`XATTR_LIST_MAX`).
const LIST_MAX_BYTES: usize = 65_536;
const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// A kind of inode, as far as extended attributes are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A device, a named pipe or a socket.
    Special,
}

impl Holder {
    /// The kind of an inode.
    pub fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Directory(_) => Self::Directory,
            Kind::File(_) => Self::File,
            Kind::Symlink(_) => Self::Symlink,
            Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo | Kind::Socket => Self::Special,
        }
    }

    /// Why nothing of this kind can have the attribute `name`; none where it can. Linux
    /// gives `user.` attributes to files and directories only (xattr(7)), access lists to
    /// no link, default ones to directories.
    pub fn fault(self, name: &[u8]) -> Option<&'static str> {
        let is_user = name.starts_with(b"user.");
        match self {
            Self::Directory => None,
            Self::Symlink if is_user => Some("a symbolic link cannot have `user.` attributes"),
            Self::Special if is_user => {
                Some("only files and directories can have `user.` attributes")
            }
            Self::Symlink if name == ACCESS_ACL || name == DEFAULT_ACL => {
                Some("a symbolic link cannot have an access control list")
            }
            Self::File | Self::Symlink | Self::Special => (name == DEFAULT_ACL)
                .then_some("only directories can have a default access control list"),
        }
    }
}

/// Refuses a name that no attribute has.
pub(crate) fn check_name(name: &[u8]) -> Result<()> {
    if name.is_empty() {
        return Err(unrepresentable("an extended attribute's name is empty"));
    }
    if name.contains(&0) {
        return Err(unrepresentable("an extended attribute's name holds a NUL byte"));
    }
    Ok(())
}

/// Refuses an attribute that Linux would hide, and an access control list that it cannot
/// read: nobody but root opens a file that has one.
pub(crate) fn check_xattr(kind: &Kind, name: &[u8], value: &[u8]) -> Result<()> {
    if let Some(fault) = Holder::of(kind).fault(name) {
        return Err(unrepresentable(fault));
    }
    if (name == ACCESS_ACL || name == DEFAULT_ACL) && !is_acl_value(value) {
        return Err(unrepresentable("an access control list is malformed"));
    }
    Ok(())
}

/// Refuses more names than Linux lists.
pub(crate) fn check_list(xattrs: &Xattrs) -> Result<()> {
    let list_bytes: usize = xattrs.keys().map(|name| name.len() + 1).sum();
    if list_bytes <= LIST_MAX_BYTES {
        return Ok(());
    }
    let message = format!(
        "the extended attributes' names take {list_bytes} bytes, Linux lists at most {LIST_MAX_BYTES}"
    );
    Err(unrepresentable(&message))
}

/// Whether Linux can read the list: version 2 and entries of tag, permissions and id, 8 bytes
/// each (`posix_acl_xattr.h`).
fn is_acl_value(value: &[u8]) -> bool {
    let is_known = |tag: &[u8]| matches!(tag, [1 | 2 | 4 | 8 | 0x10 | 0x20, 0]);
    value.strip_prefix(&[2, 0, 0, 0]).is_some_and(|entries| {
        let (entries, rest) = entries.as_chunks::<8>();
        rest.is_empty() && entries.iter().all(|[low, high, ..]| is_known(&[*low, *high]))
    })
}

fn unrepresentable(message: &str) -> Error {
    Error::new(ErrorKind::Unrepresentable, message)
}
