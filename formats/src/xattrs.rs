//! Which inode can have which extended attribute: on Linux, whatever holds it, and in
//! the formats that hold any. Every source and every format asks here.

use crate::error::{Error, ErrorKind, Result};
use crate::tree::{Kind, Xattrs};

/// Longest name in bytes, the prefix counted (`XATTR_NAME_MAX` of Linux).
pub const NAME_MAX_BYTES: usize = 255;
/// Longest value in bytes (`XATTR_SIZE_MAX` of Linux).
pub const VALUE_MAX_BYTES: usize = 65_536;
/// What `listxattr` of Linux returns at most: all names, each with a NUL (`XATTR_LIST_MAX`).
const LIST_MAX_BYTES: usize = 65_536;

const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
const CAPABILITY: &[u8] = b"security.capability";

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

    /// Why nothing of this kind can have the attribute `name` on Linux, whatever its value;
    /// none where it can. Linux gives `user.` attributes to files and directories only
    /// (xattr(7)), access lists to no link, default ones to directories.
    pub fn fault(self, name: &[u8]) -> Option<&'static str> {
        let is_user = name.starts_with(b"user.");
        match self {
            _ if name.len() > NAME_MAX_BYTES => {
                Some("an extended attribute's name is longer than 255 bytes")
            }
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
    let fault = if name.is_empty() {
        "an extended attribute's name is empty"
    } else if name.contains(&0) {
        "an extended attribute's name holds a NUL byte"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Unrepresentable, fault))
}

/// Whether Linux knows attributes of this name on disks: those of three namespaces, and access
/// control lists.
pub fn is_known(name: &[u8]) -> bool {
    let has_rest = |prefix: &[u8]| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    let namespaces: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
    name == ACCESS_ACL || name == DEFAULT_ACL || namespaces.into_iter().any(has_rest)
}

/// Why no inode of Linux can have `value` as its attribute `name`; none where it can. Linux
/// reads two kinds of values itself before it shows them.
pub fn value_fault(name: &[u8], value: &[u8]) -> Option<&'static str> {
    if value.len() > VALUE_MAX_BYTES {
        return Some("an extended attribute's value is longer than 65536 bytes");
    }
    match name {
        ACCESS_ACL | DEFAULT_ACL if !is_acl(value) => Some("an access control list is malformed"),
        CAPABILITY if !is_capability(value) => Some(
            "Linux does not show this `security.capability`: expected 20 bytes of version 2, or \
             24 of version 3 with a root that is not 0",
        ),
        _ => None,
    }
}

/// What one format holds of extended attributes.
pub(crate) struct Rules {
    /// Whether the format has a place for an attribute of this name.
    pub(crate) has_name: fn(&[u8]) -> bool,
    /// What to say where it has none.
    pub(crate) names: &'static str,
    /// Longest value in bytes.
    pub(crate) value_max_bytes: usize,
    /// What to say of a longer one.
    pub(crate) value_too_long: &'static str,
    /// What an attribute takes of all that one inode can have, in bytes.
    pub(crate) size_bytes: fn(&[u8], &[u8]) -> usize,
    /// Most bytes of attributes of one inode.
    pub(crate) total_max_bytes: usize,
    /// What to say of more.
    pub(crate) total_too_long: &'static str,
}

impl Rules {
    /// The attributes of an inode that this format cannot hold, or Linux not read from it, each
    /// with the reason. Where they are too many together it is those that come last by name.
    pub(crate) fn faults<'x>(
        &self,
        kind: &Kind,
        xattrs: &'x Xattrs,
    ) -> Vec<(&'x [u8], &'static str)> {
        let holder = Holder::of(kind);
        let (mut list_bytes, mut total_bytes) = (0, 0);
        let mut fault = |name: &[u8], value: &[u8]| {
            if !(self.has_name)(name) {
                return Some(self.names);
            }
            let own = holder.fault(name).or_else(|| value_fault(name, value));
            if own.is_some() {
                return own;
            }
            if value.len() > self.value_max_bytes {
                return Some(self.value_too_long);
            }
            let list_with_bytes = list_bytes + name.len() + 1;
            if list_with_bytes > LIST_MAX_BYTES {
                return Some(
                    "the names of its extended attributes take more than 65536 bytes, Linux lists \
                     no more",
                );
            }
            let total_with_bytes = total_bytes + (self.size_bytes)(name, value);
            if total_with_bytes > self.total_max_bytes {
                return Some(self.total_too_long);
            }
            (list_bytes, total_bytes) = (list_with_bytes, total_with_bytes);
            None
        };
        let mut faults = Vec::new();
        for (name, value) in xattrs {
            faults.extend(fault(name, value.expose()).map(|fault| (&**name, fault)));
        }
        faults
    }

    /// Refuses, as [`ErrorKind::Unrepresentable`], what has a fault.
    pub(crate) fn check(&self, kind: &Kind, xattrs: &Xattrs) -> Result<()> {
        match self.faults(kind, xattrs).first() {
            None => Ok(()),
            Some((_, fault)) => Err(Error::new(ErrorKind::Unrepresentable, *fault)),
        }
    }
}

/// Whether Linux reads the list and shows it as it is: version 2 and one or more entries of tag,
/// permissions and id, 8 bytes each. Users and groups have an id, the others none
/// (`posix_acl_xattr.h`, `posix_acl_from_xattr`).
fn is_acl(value: &[u8]) -> bool {
    const NO_ID: [u8; 4] = [0xff; 4];
    let is_read = |entry: &[u8; 8]| {
        let [tag, 0, _, _, id @ ..] = *entry else { return false };
        match tag {
            2 | 8 => id != NO_ID,
            1 | 4 | 0x10 | 0x20 => id == NO_ID,
            _ => false,
        }
    };
    value.strip_prefix(&[2, 0, 0, 0]).is_some_and(|entries| {
        let (entries, rest) = entries.as_chunks::<8>();
        !entries.is_empty() && rest.is_empty() && entries.iter().all(is_read)
    })
}

/// Whether Linux reads the capabilities and shows them as they are: version 2, or version 3 of
/// another root than 0, which it shows as version 2 (`cap_inode_getsecurity`). The lowest bit of
/// the first byte says whether they are effective.
fn is_capability(value: &[u8]) -> bool {
    match value {
        [0 | 1, 0, 0, 2, rest @ ..] => rest.len() == 16,
        [0 | 1, 0, 0, 3, rest @ ..] if rest.len() == 20 => {
            !rest.ends_with(&[0; 4]) && !rest.ends_with(&[0xff; 4])
        }
        _ => false,
    }
}
