//! Inline xattrs: a 12-byte header and entries padded to 4 bytes, right behind the inode.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32};

use super::format::{XATTR_PREFIXES, XattrEntry, XattrHeader};
use crate::error::{Error, ErrorKind, Result};
use crate::tree::{Kind, Xattrs};

const UNIT_BYTES: usize = 4;
/// `XATTR_NAME_MAX` of Linux, the prefix counted.
const NAME_MAX_BYTES: usize = 255;

/// What `listxattr` of Linux returns at most: all names, each with a NUL (`XATTR_LIST_MAX`).
const LIST_MAX_BYTES: usize = 65_536;
const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// Refuses attributes that the format could hold and Linux would hide, and access
/// control lists that it cannot read: nobody but root opens a file that has one.
pub(super) fn check_visible(xattrs: &Xattrs, kind: &Kind) -> Result<()> {
    let is_directory = matches!(kind, Kind::Directory(_));
    let is_link = matches!(kind, Kind::Symlink(_));
    for (name, value) in xattrs {
        let is_acl = **name == *ACCESS_ACL || **name == *DEFAULT_ACL;
        if name.starts_with(b"user.") && !is_directory && !matches!(kind, Kind::File(_)) {
            // xattr(7)
            return Err(unrepresentable("only files and directories have `user.` attributes"));
        }
        if is_acl && is_link {
            return Err(unrepresentable("a symbolic link has no access control list"));
        }
        if **name == *DEFAULT_ACL && !is_directory {
            return Err(unrepresentable("only directories have a default access control list"));
        }
        if is_acl && !is_acl_value(value.expose()) {
            return Err(unrepresentable("an access control list is malformed"));
        }
    }
    let list_bytes: usize = xattrs.keys().map(|name| name.len() + 1).sum();
    if list_bytes > LIST_MAX_BYTES {
        let message = format!(
            "the extended attributes' names take {list_bytes} bytes, Linux lists at most {LIST_MAX_BYTES}"
        );
        return Err(unrepresentable(&message));
    }
    Ok(())
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

/// Length in bytes of the xattr area, 0 for none, else a multiple of 4; and what
/// the inode's `xattr_units` says of it. An attribute that the format cannot
/// hold is [`ErrorKind::Unrepresentable`].
pub(super) fn measure(xattrs: &Xattrs) -> Result<(usize, u16)> {
    if xattrs.is_empty() {
        return Ok((0, 0));
    }
    let mut total = size_of::<XattrHeader>();
    for (name, value) in xattrs {
        let (_, suffix) = split(name)?;
        if name.len() > NAME_MAX_BYTES {
            return Err(unrepresentable("an extended attribute's name is longer than 255 bytes"));
        }
        if value.len() > usize::from(u16::MAX) {
            let message = format!(
                "an extended attribute's value is {} bytes long, EROFS holds at most 65535",
                value.len()
            );
            return Err(unrepresentable(&message));
        }
        total +=
            (size_of::<XattrEntry>() + suffix.len() + value.len()).next_multiple_of(UNIT_BYTES);
    }
    let units = 1 + (total - size_of::<XattrHeader>()) / UNIT_BYTES;
    let too_many = |_| {
        let message =
            format!("the extended attributes take {total} bytes, EROFS holds at most 262148");
        unrepresentable(&message)
    };
    Ok((total, u16::try_from(units).map_err(too_many)?))
}

/// Appends the area to `out`.
pub(super) fn append(xattrs: &Xattrs, out: &mut Vec<u8>) -> Result<()> {
    if xattrs.is_empty() {
        return Ok(());
    }
    let header = XattrHeader { name_filter: U32::ZERO, shared_count: 0, reserved: [0; 7] };
    out.extend_from_slice(header.as_bytes());
    for (name, value) in xattrs {
        let (index, suffix) = split(name)?;
        let too_long = |_| unrepresentable("an extended attribute is too long");
        let entry = XattrEntry {
            name_length: u8::try_from(suffix.len()).map_err(too_long)?,
            name_index: index,
            value_size: U16::new(u16::try_from(value.len()).map_err(too_long)?),
        };
        out.extend_from_slice(entry.as_bytes());
        out.extend_from_slice(suffix);
        out.extend_from_slice(value.expose());
        out.resize(out.len().next_multiple_of(UNIT_BYTES), 0);
    }
    Ok(())
}

/// The prefix's index and the rest of the name.
fn split(name: &[u8]) -> Result<(u8, &[u8])> {
    for (prefix, index) in XATTR_PREFIXES {
        let is_whole = !prefix.ends_with(b".");
        match name.strip_prefix(prefix) {
            Some(rest) if rest.is_empty() == is_whole => return Ok((index, rest)),
            _ => {}
        }
    }
    Err(unrepresentable(
        "EROFS holds extended attributes named user.*, trusted.*, security.*, \
         system.posix_acl_access and system.posix_acl_default only",
    ))
}

fn unrepresentable(message: &str) -> Error {
    Error::new(ErrorKind::Unrepresentable, message)
}
