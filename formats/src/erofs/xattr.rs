//! Inline xattrs: a 12-byte header and entries padded to 4 bytes, right behind the inode.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32};

use super::format::{XATTR_PREFIXES, XattrEntry, XattrHeader};
use crate::error::{Error, ErrorKind, Result};
use crate::tree::{Kind, Xattrs};
use crate::xattrs as rules;

const UNIT_BYTES: usize = 4;
/// `XATTR_NAME_MAX` of Linux, the prefix counted.
const NAME_MAX_BYTES: usize = 255;

/// Refuses attributes that the format cannot hold, or could hold and Linux would hide.
pub(super) fn check(kind: &Kind, xattrs: &Xattrs) -> Result<()> {
    for (name, value) in xattrs {
        check_xattr(kind, name, value.expose())?;
    }
    rules::check_list(xattrs)
}

/// Refuses one attribute of an inode, whatever others that has: as
/// [`ErrorKind::Unrepresentable`].
pub fn check_xattr(kind: &Kind, name: &[u8], value: &[u8]) -> Result<()> {
    split(name)?;
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
    rules::check_xattr(kind, name, value)
}

/// Length in bytes of the xattr area, 0 for none, else a multiple of 4; and what
/// the inode's `xattr_units` says of it. More than an inode holds is
/// [`ErrorKind::Unrepresentable`].
pub(super) fn measure(xattrs: &Xattrs) -> Result<(usize, u16)> {
    if xattrs.is_empty() {
        return Ok((0, 0));
    }
    let mut total = size_of::<XattrHeader>();
    for (name, value) in xattrs {
        let (_, suffix) = split(name)?;
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
