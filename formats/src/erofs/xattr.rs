//! Inline xattrs: a 12-byte header and entries padded to 4 bytes, right behind the inode.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32};

use super::format::{XATTR_PREFIXES, XattrEntry, XattrHeader};
use crate::error::{Error, ErrorKind, Result};
use crate::tree::{Kind, Xattrs};
use crate::xattrs::Rules;

const UNIT_BYTES: usize = 4;

/// What an inode can have: `xattr_units` counts 16 bits of 4 bytes, from the header on.
const RULES: Rules = Rules {
    has_name: |name| split(name).is_ok(),
    names: NAMES,
    value_max_bytes: u16::MAX as usize,
    value_too_long: "an extended attribute's value is longer than 65535 bytes, EROFS holds no more",
    size_bytes: entry_bytes,
    total_max_bytes: (u16::MAX as usize - 1) * UNIT_BYTES,
    total_too_long: "its extended attributes take more than 262148 bytes, EROFS holds no more",
};
const NAMES: &str = "EROFS holds extended attributes named user.*, trusted.*, security.*, \
                     system.posix_acl_access and system.posix_acl_default only";

/// The names of an inode's attributes that the format cannot hold, or Linux not read from it,
/// each with the reason.
pub fn xattr_faults<'x>(kind: &Kind, xattrs: &'x Xattrs) -> Vec<(&'x [u8], &'static str)> {
    RULES.faults(kind, xattrs)
}

/// Refuses attributes that the format cannot hold, or could hold and Linux would hide.
pub(super) fn check(kind: &Kind, xattrs: &Xattrs) -> Result<()> {
    RULES.check(kind, xattrs)
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
        total += entry_bytes(name, value.expose());
    }
    let units = 1 + (total - size_of::<XattrHeader>()) / UNIT_BYTES;
    let too_many = |_| unrepresentable(RULES.total_too_long);
    Ok((total, u16::try_from(units).map_err(too_many)?))
}

/// What an attribute takes; nothing where the format has no place for it.
fn entry_bytes(name: &[u8], value: &[u8]) -> usize {
    split(name).map_or(0, |(_, suffix)| {
        (size_of::<XattrEntry>() + suffix.len() + value.len()).next_multiple_of(UNIT_BYTES)
    })
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
    Err(unrepresentable(NAMES))
}

fn unrepresentable(message: &str) -> Error {
    Error::new(ErrorKind::Unrepresentable, message)
}
