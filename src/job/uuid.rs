//! UUIDs of images and of what is around them.

use crate::host::random;
use crate::report::Failure;

/// The bytes of a UUID in text form, none where it is not one.
pub(crate) fn parse(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
        return None;
    }
    let digits = groups.concat();
    let mut uuid = [0; 16];
    for (byte, pair) in uuid.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        // `from_str_radix` alone would take a sign.
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))?;
    }
    Some(uuid)
}

/// A random one of version 4 (RFC 9562 5.4).
pub(crate) fn random() -> Result<[u8; 16], Failure> {
    let mut uuid = [0; 16];
    random::fill(&mut uuid)?;
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut uuid;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    Ok(uuid)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use credimg_formats::uuid_text;

    use super::*;

    #[test]
    fn uuids_are_read_and_shown() {
        let text = "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81";
        assert_eq!(uuid_text(parse(text).unwrap()), text);
        for bad in ["", "6f1c2ad00b5e4c779a341d2f00fe9b81", "+f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn random_uuids_have_version_4() {
        let shown = uuid_text(random().unwrap());
        assert_eq!(shown.as_bytes().get(14), Some(&b'4'), "{shown}");
        assert!(matches!(shown.as_bytes().get(19), Some(b'8' | b'9' | b'a' | b'b')), "{shown}");
    }
}
