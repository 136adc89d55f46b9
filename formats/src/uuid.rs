//! UUIDs as text.

/// The text form of a UUID, whose bytes are in the same order: five groups of lower-case
/// hexadecimal digits (RFC 9562 4).
pub fn uuid_text(uuid: [u8; 16]) -> String {
    // Five groups and four hyphens.
    let mut text = String::with_capacity(36);
    for (index, byte) in uuid.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    text
}
