//! Names of entries without Rock Ridge: what Linux makes of an identifier.

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
    let text = wide(identifier);
    let text = text.strip_suffix(";1").filter(|text| !text.is_empty()).unwrap_or(&text);
    let trimmed = text.trim_end_matches('.');
    // Of dots alone the first stays.
    let name = if trimmed.is_empty() { text.get(..1).unwrap_or_default() } else { trimmed };
    name.as_bytes().to_vec()
}

/// Text of big-endian UCS-2.
pub(super) fn wide(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    });
    char::decode_utf16(units)
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
