//! UUIDs of images and of what is around them.

use crate::host::random;
use crate::report::Failure;

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
    fn random_uuids_have_version_4() {
        let shown = uuid_text(random().unwrap());
        assert_eq!(shown.as_bytes().get(14), Some(&b'4'), "{shown}");
        assert!(matches!(shown.as_bytes().get(19), Some(b'8' | b'9' | b'a' | b'b')), "{shown}");
    }
}
