//! UUIDs as text.

use crate::hex::hex_bytes;

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

/// Reads the text form of a UUID, with digits of either case. None where the text is no UUID.
pub fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
        return None;
    }
    hex_bytes(&groups.concat())?.try_into().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn uuids_are_read_and_shown() {
        let text = "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81";
        assert_eq!(uuid_text(uuid_bytes(text).unwrap()), text);
        assert_eq!(uuid_bytes(&text.to_uppercase()), uuid_bytes(text));
        for bad in [
            "",
            "6f1c2ad00b5e4c779a341d2f00fe9b81",
            "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b8",
            "+f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81",
        ] {
            assert_eq!(uuid_bytes(bad), None, "{bad}");
        }
    }
}
