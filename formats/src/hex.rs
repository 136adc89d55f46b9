//! Bytes as hexadecimal digits.

use std::fmt::Write;

/// The bytes as text, two lower-case digits for each.
pub fn hex_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads text of two digits a byte, of either case. None where the text is anything else.
pub fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(digits, 16).ok()
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn digits_are_read_and_shown() {
        assert_eq!(hex_text(&[1, 0xab]), "01ab");
        assert_eq!(hex_bytes(&hex_text(&[1, 0xab])).unwrap(), [1, 0xab]);
        assert_eq!(hex_bytes("00fF").unwrap(), [0, 255]);
        assert_eq!(hex_bytes("").unwrap(), [0; 0]);
        for bad in ["0", "+1", "0x", "zz", "a b ", "äa"] {
            assert_eq!(hex_bytes(bad), None, "{bad}");
        }
    }
}
