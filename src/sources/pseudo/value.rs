//! The values of extended attributes.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// base64 of the standard alphabet; the padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of a value: after `0s` base64, after `0x` hexadecimal digits,
/// after `0t` text with octal escapes of three digits, after `0b` and without a
/// prefix what stands there. A value of one byte has no prefix. The error says
/// what was expected; it holds nothing of the value.
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let value = match text {
        [] => return Err("the value is empty"),
        [b'0', b's' | b'S', value @ ..] => {
            // The library's error is dropped: it quotes the byte that it stumbled over.
            BASE64.decode(value).map_err(|_| "expected base64 of the standard alphabet after 0s")?
        }
        [b'0', b'x' | b'X', value @ ..] => {
            hexadecimal(value).ok_or("expected pairs of hexadecimal digits after 0x")?
        }
        [b'0', b't' | b'T', value @ ..] => octal(value).ok_or(
            "expected text after 0t, with a backslash and three octal digits for odd bytes",
        )?,
        [b'0', b'b' | b'B', value @ ..] | value => value.to_vec(),
    };
    if value.is_empty() { Err("the value is empty after its prefix") } else { Ok(value) }
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.chunks(2).map(byte).collect()
}

fn octal(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((first, rest)) = text.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            text = rest;
            continue;
        }
        let (digits, rest) = rest.split_at_checked(3)?;
        let is_octal = digits.iter().all(|digit| matches!(digit, b'0'..=b'7'));
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_octal)?;
        bytes.push(u8::from_str_radix(digits, 8).ok()?);
        text = rest;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_is_understood() {
        for (text, expected) in [
            (&b"value"[..], &b"value"[..]),
            (b"0", b"0"),
            (b"a b ", b"a b "),
            (b"0v", b"0v"),
            (b"0bvalue", b"value"),
            (b"0B0x41", b"0x41"),
            (b"0x00fF", b"\x00\xff"),
            (b"0XAb", b"\xab"),
            (b"0sAAECAw==", b"\x00\x01\x02\x03"),
            (b"0SAAECAw", b"\x00\x01\x02\x03"),
            (b"0ta\\000b\\377\\134", b"a\x00b\xff\\"),
            (b"0Tplain", b"plain"),
        ] {
            assert_eq!(decode(text).as_deref(), Ok(expected), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn other_values_are_refused() {
        for text in [
            "",
            "0x",
            "0s",
            "0t",
            "0b",
            "0x1",
            "0x1g",
            "0x+1",
            "0s!",
            "0sAAECAw=x",
            "0sA",
            "0sAB==",
            "0t\\",
            "0t\\12",
            "0t\\128",
            "0t\\400",
            "0t\\+12",
            "0t\\\\",
        ] {
            assert!(decode(text.as_bytes()).is_err(), "{text}");
        }
    }
}
