//! Names of entries without Rock Ridge: what Linux makes of an identifier.

use super::record::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::tree::NAME_MAX_BYTES;

/// The name of a plain identifier in lower case, without its version `;1` and the dot before
/// it (`isofs_name_translate` of Linux, `map=normal`).
pub(super) fn of_plain(identifier: &[u8]) -> Vec<u8> {
    let identifier = identifier.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = identifier.strip_suffix(b";1").unwrap_or(identifier);
    let has_version = text.len() < identifier.len();
    let text = text.strip_suffix(b".").filter(|_| has_version).unwrap_or(text);
    text.iter()
        .map(|byte| match byte {
            b';' | b'/' => b'.',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

/// The name of an identifier of Joliet, which is of big-endian UCS-2, without its version and
/// without dots at its end (`get_joliet_filename` of Linux).
pub(super) fn of_joliet(identifier: &[u8]) -> Vec<u8> {
    let units = identifier.chunks_exact(2).map(|pair| match pair {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    });
    let text: String = char::decode_utf16(units)
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    let text = text.strip_suffix(";1").filter(|text| !text.is_empty()).unwrap_or(&text);
    let trimmed = text.trim_end_matches('.');
    // Of dots alone the first stays.
    let name = if trimmed.is_empty() { text.get(..1).unwrap_or_default() } else { trimmed };
    name.as_bytes().to_vec()
}

/// Refuses what no path can have.
pub(super) fn check(record: &Record<'_>, name: &[u8]) -> Result<()> {
    let fault = match name {
        b"" => "its name is empty",
        b"." | b".." => "its name is that of a directory's own record",
        _ if name.contains(&b'/') => "its name has a slash",
        _ if name.contains(&0) => "its name has a NUL",
        _ if name.len() > NAME_MAX_BYTES => {
            let what = format!("its name takes more than {NAME_MAX_BYTES} bytes");
            let message = format!("directory record at byte {}: {what}", record.offset_bytes);
            return Err(Error::new(ErrorKind::Limit, message));
        }
        _ => return Ok(()),
    };
    Err(record.corrupt(fault))
}
