//! Regions and fields of what lies around a file system: LUKS and dm-verity.

use super::{Field, Region, RegionKind};
use crate::hex::hex_text;

/// A region without fields.
pub(crate) fn whole(
    offset_bytes: u64,
    length_bytes: u64,
    kind: RegionKind,
    title: String,
) -> Region {
    Region { offset_bytes, length_bytes, kind, title, fields: Vec::new(), notes: Vec::new() }
}

/// A record of these fields.
pub(crate) fn record(offset_bytes: u64, title: String, fields: Vec<Field>) -> Region {
    let length_bytes = fields.iter().map(|field| field.length_bytes).sum();
    Region { fields, ..whole(offset_bytes, length_bytes, RegionKind::Record, title) }
}

/// A field with its value for people.
pub(crate) fn field(length: usize, name: &'static str, value: String) -> Field {
    Field { length_bytes: length as u64, name, value: Some(value) }
}

/// Text that is padded with NUL.
pub(crate) fn text(bytes: &[u8], name: &'static str) -> Field {
    let (text, rest) = bytes.split_at(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
    let is_clean = rest.iter().all(|byte| *byte == 0);
    let behind = if is_clean { "" } else { ", and more behind it" };
    let text = String::from_utf8_lossy(text);
    field(bytes.len(), name, format!("\"{text}\"{behind}"))
}

/// Bytes as digits.
pub(crate) fn hex(bytes: &[u8], name: &'static str) -> Field {
    field(bytes.len(), name, hex_text(bytes))
}

/// What has to be zero.
pub(crate) fn zeros(bytes: &[u8], name: &'static str) -> Field {
    let is_zero = bytes.iter().all(|byte| *byte == 0);
    let value = if is_zero { "zeros" } else { "not zero" };
    field(bytes.len(), name, value.to_owned())
}
