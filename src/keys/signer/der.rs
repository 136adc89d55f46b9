//! As much of DER (X.690) as a signature and a certificate (RFC 5280 4.1) need.

/// Object identifiers, encoded (X.690 8.19): id-sha256 of RFC 5754, rsaEncryption of RFC 8017, data
/// and signedData of RFC 2315.
pub(super) const SHA_256: [u8; 9] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// See [`SHA_256`].
pub(super) const RSA_ENCRYPTION: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// See [`SHA_256`].
pub(super) const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// See [`SHA_256`].
pub(super) const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]` with another value in it.
const CONTEXT_0: u8 = 0xa0;

pub(super) fn oid(encoded: &[u8]) -> Vec<u8> {
    element(OBJECT_IDENTIFIER, &[encoded])
}

pub(super) fn null() -> Vec<u8> {
    element(NULL, &[])
}

pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    element(OCTET_STRING, &[bytes])
}

/// An integer below 128.
pub(super) fn version(number: u8) -> Vec<u8> {
    element(INTEGER, &[&[number]])
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, parts)
}

/// A set with one element.
pub(super) fn set(part: &[u8]) -> Vec<u8> {
    element(SET, &[part])
}

pub(super) fn tagged(part: &[u8]) -> Vec<u8> {
    element(CONTEXT_0, &[part])
}

/// X.690 8.1.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    if let Ok(short @ ..=0x7f) = u8::try_from(length) {
        bytes.push(short);
    } else {
        let long = length.to_be_bytes();
        let zeros = long.iter().take_while(|byte| **byte == 0).count();
        let long = long.get(zeros..).unwrap_or_default();
        // At most eight.
        bytes.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
        bytes.extend_from_slice(long);
    }
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The parts of a certificate that a signature needs, each as it is encoded.
pub(super) struct Certificate {
    pub(super) issuer: Vec<u8>,
    pub(super) serial: Vec<u8>,
    /// The `SubjectPublicKeyInfo`.
    pub(super) public_key: Vec<u8>,
}

impl Certificate {
    /// Reads a certificate (RFC 5280 4.1); none where `der` is none. Its own signature is not
    /// checked.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let mut fields =
            Elements(Elements(Elements(der).next(SEQUENCE)?.content).next(SEQUENCE)?.content);
        if fields.0.first() == Some(&CONTEXT_0) {
            fields.next(CONTEXT_0)?;
        }
        let serial = fields.next(INTEGER)?.whole.to_vec();
        let _signature_algorithm = fields.next(SEQUENCE)?;
        let issuer = fields.next(SEQUENCE)?.whole.to_vec();
        let _validity = fields.next(SEQUENCE)?;
        let _subject = fields.next(SEQUENCE)?;
        let public_key = fields.next(SEQUENCE)?.whole.to_vec();
        Some(Self { issuer, serial, public_key })
    }
}

/// Elements one after another.
struct Elements<'d>(&'d [u8]);

struct Element<'d> {
    /// All bytes of it, with tag and length.
    whole: &'d [u8],
    content: &'d [u8],
}

impl<'d> Elements<'d> {
    /// The next element; none where it has another tag.
    fn next(&mut self, tag: u8) -> Option<Element<'d>> {
        let all = self.0;
        let (head, behind) = all.split_first_chunk::<2>()?;
        let [found, length] = *head;
        let (length, behind) = if length < 0x80 {
            (usize::from(length), behind)
        } else {
            let (digits, behind) = behind.split_at_checked(usize::from(length & 0x7f))?;
            let fits = !digits.is_empty() && digits.len() <= 4;
            let number = digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit));
            (usize::try_from(number).ok().filter(|_| fits)?, behind)
        };
        let (content, rest) = behind.split_at_checked(length).filter(|_| found == tag)?;
        let whole = all.get(..all.len() - rest.len())?;
        self.0 = rest;
        Some(Element { whole, content })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        for (length, head) in [
            (0, vec![4, 0]),
            (127, vec![4, 127]),
            (128, vec![4, 0x81, 128]),
            (255, vec![4, 0x81, 255]),
            (256, vec![4, 0x82, 1, 0]),
            (70_000, vec![4, 0x83, 1, 0x11, 0x70]),
        ] {
            let content = vec![7; length];
            let bytes = octets(&content);
            assert!(bytes == [head, content.clone()].concat(), "{length}");
            let element = Elements(&bytes).next(OCTET_STRING).unwrap();
            assert!(element.content == content && element.whole == bytes, "{length}");
            assert!(Elements(&bytes).next(SEQUENCE).is_none());
            for end in 0..bytes.len() {
                assert!(Elements(bytes.get(..end).unwrap()).next(OCTET_STRING).is_none(), "{end}");
            }
        }
        for bad in
            [[4, 0x80, 0, 0, 0, 0, 0, 0], [4, 0x85, 0, 0, 0, 0, 0, 0], [4, 0xff, 0, 0, 0, 0, 0, 0]]
        {
            assert!(Elements(&bad).next(OCTET_STRING).is_none(), "{bad:?}");
        }
    }
}
