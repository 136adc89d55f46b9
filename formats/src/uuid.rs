//! UUIDs as text.

/// The text form of a UUID, whose bytes are in the same order: five groups of lower-case
/// hexadecimal digits (RFC 9562 4).
pub fn uuid_text(uuid: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(uuid));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}
