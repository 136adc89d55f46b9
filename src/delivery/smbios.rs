//! OEM strings: what each says, and the raw structure that holds them all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credimg_formats::Secret;

use super::limits::{STRINGS_MAX, STRUCTURE_EMPTY_BYTES, STRUCTURE_MAX_BYTES, oem_string_bytes};
use crate::monitors::OEM_PREFIX;
use crate::report::{Exit, Failure};

/// Type of the structure of OEM strings (SMBIOS 3.7, 7.12).
const TYPE: u8 = 11;
/// Length of its formatted area.
const FORMATTED_BYTES: u8 = 5;
/// The handle that QEMU gives its own structure of this type, which a given one replaces.
const HANDLE: u16 = 0x0e00;

/// The OEM string of a credential, without its zero: printable ASCII, so that
/// no byte of the value means anything on the way.
pub(super) fn oem_string(name: &str, value: &[u8]) -> Secret {
    let length = usize::try_from(oem_string_bytes(name, value.len() as u64)).unwrap_or(0);
    // As large as it gets, so that no shorter copy of it is left in the heap.
    let mut text = String::with_capacity(length);
    text.push_str(OEM_PREFIX);
    text.push_str(name);
    text.push('=');
    STANDARD.encode_string(value, &mut text);
    Secret::new(text.into_bytes())
}

/// The structure of these strings (SMBIOS 3.7, 6.1 and 7.12): type, length,
/// handle, count, then each string with its zero, and one more zero.
///
/// Neither an empty string nor one with a zero can be in it; the count and the
/// length have been planned.
pub(super) fn structure(strings: &[Secret]) -> Result<Secret, Failure> {
    let total: usize = strings.iter().map(|string| string.len() + 1).sum();
    let length = STRUCTURE_EMPTY_BYTES + total as u64;
    let is_whole = |string: &Secret| !string.is_empty() && !string.expose().contains(&0);
    let count = u8::try_from(strings.len()).ok().filter(|_| strings.len() <= STRINGS_MAX);
    let (Some(count), true) = (count, strings.iter().all(is_whole)) else {
        return Err(Failure::new(Exit::Manifest, "the OEM strings make no SMBIOS structure"));
    };
    if length > STRUCTURE_MAX_BYTES {
        let message = format!("the SMBIOS structure would be {length} bytes long");
        return Err(Failure::new(Exit::Manifest, message));
    }
    let [low, high] = HANDLE.to_le_bytes();
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    bytes.extend([TYPE, FORMATTED_BYTES, low, high, count]);
    for string in strings {
        bytes.extend_from_slice(string.expose());
        bytes.push(0);
    }
    bytes.push(0);
    Ok(Secret::new(bytes))
}

/// The JSON in which Cloud Hypervisor's API takes these strings (`PlatformConfig` of its
/// `vmm/src/vm_config.rs`), to be merged into a whole machine's.
pub(super) fn platform(strings: &[Secret]) -> Secret {
    let head = br#"{"platform":{"oem_strings":["#;
    // Each may have a backslash before every byte, and has quotes and a comma.
    let most: usize = strings.iter().map(|string| 2 * string.len() + 3).sum();
    // As large as it gets, so that no shorter copy of it is left in the heap.
    let mut bytes = Vec::with_capacity(head.len() + most + 4);
    bytes.extend_from_slice(head);
    for (index, string) in strings.iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        bytes.push(b'"');
        for byte in string.expose() {
            // What a credential's name can hold of what JSON escapes (RFC 8259, 7).
            if matches!(byte, b'"' | b'\\') {
                bytes.push(b'\\');
            }
            bytes.push(*byte);
        }
        bytes.push(b'"');
    }
    bytes.extend_from_slice(b"]}}\n");
    Secret::new(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_structure_is_what_the_specification_says() {
        let strings = [oem_string("a", b"x"), oem_string("b.c", b"\0\xff\n")];
        let expected = b"\x0b\x05\x00\x0e\x02\
                         io.systemd.credential.binary:a=eA==\0\
                         io.systemd.credential.binary:b.c=AP8K\0\0";
        assert_eq!(structure(&strings).unwrap().expose(), expected);
    }

    #[test]
    fn a_platform_is_json_of_the_very_strings() {
        let strings = [oem_string("a\"\\b", b"x"), oem_string("c", b"")];
        let json: serde_json::Value = serde_json::from_slice(platform(&strings).expose()).unwrap();
        let expected =
            [r#"io.systemd.credential.binary:a"\b=eA=="#, "io.systemd.credential.binary:c="];
        assert_eq!(json, serde_json::json!({ "platform": { "oem_strings": expected } }));
    }

    #[test]
    fn strings_are_as_long_as_planned() {
        for length in 0..10 {
            let value = vec![b'v'; length];
            let string = oem_string("name", &value);
            assert_eq!(string.len() as u64 + 1, oem_string_bytes("name", length as u64));
        }
    }

    #[test]
    fn what_is_no_structure_is_refused() {
        let string = Secret::from(&b"a"[..]);
        assert!(structure(&vec![string.clone(); 255]).is_ok());
        assert!(structure(&vec![string; 256]).is_err());
        assert!(structure(&[Secret::from(&b""[..])]).is_err());
        assert!(structure(&[Secret::from(&b"a\0b"[..])]).is_err());
        assert!(structure(&[Secret::new(vec![b'a'; 57_336])]).is_ok());
        assert!(structure(&[Secret::new(vec![b'a'; 57_337])]).is_err());
    }
}
