//! The serial by which a guest looks for its disk, as the private files beside the image tell it: a
//! disk without a label, and a checked one, has no other name that its build knows.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::delivery::device::SERIAL_START;
use crate::delivery::sidecar;
use crate::host::identity::size_bytes;
use crate::host::open::open_file;
use crate::monitors::{OEM_PREFIX, Serial};

/// The end of a file that holds what a build has put there: behind an initrd lie, of all credentials,
/// 1 MiB at most, and their names.
const END_MAX_BYTES: u64 = 2 << 20;

/// The serial that the guest of `image` is told by its files with these suffixes; none where it is
/// told none, or they cannot be read.
pub(crate) fn told(image: &Path, suffixes: &[String]) -> Option<Serial> {
    suffixes.iter().find_map(|suffix| {
        let end = end(&sidecar::path(image, suffix))?;
        let text = String::from_utf8_lossy(&end);
        in_text(&text).or_else(|| in_strings(&text))
    })
}

fn end(path: &Path) -> Option<Vec<u8>> {
    let (mut file, stat) = open_file(path).ok()?;
    let start_bytes = size_bytes(&stat).saturating_sub(END_MAX_BYTES);
    file.seek(SeekFrom::Start(start_bytes)).ok()?;
    let mut end = Vec::new();
    file.take(END_MAX_BYTES).read_to_end(&mut end).ok()?;
    Some(end)
}

/// The serial in OEM strings, whose values are in base64.
fn in_strings(text: &str) -> Option<Serial> {
    text.split(OEM_PREFIX).skip(1).find_map(|string| {
        let (_, value) = string.split_once('=')?;
        let is_value = |letter: char| letter.is_ascii_alphanumeric() || "+/=".contains(letter);
        let value = value.split(|letter| !is_value(letter)).next()?;
        in_text(&String::from_utf8_lossy(&STANDARD.decode(value).ok()?))
    })
}

/// The serial in a line of fstab(5) of a format without a label, or in a unit of ours: a credential
/// may speak of another disk.
fn in_text(text: &str) -> Option<Serial> {
    text.split(SERIAL_START).skip(1).find_map(|rest| {
        let is_serial = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let serial = rest.split(|letter| !is_serial(letter)).next()?;
        let kind = rest.split(' ').nth(2);
        let is_line = matches!(kind, Some("squashfs" | "iso9660"));
        let is_unit = text.contains(&format!("attach credimg-{serial}"));
        Serial::new(serial).ok().filter(|_| is_line || is_unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_units_of_ours_tell_a_serial() {
        let unit = "ExecStart=udevadm wait /dev/disk/by-id/virtio-a.b-c\n\
                    ExecStart=x attach credimg-a.b-c /dev/disk/by-id/virtio-a.b-c 00\n";
        let line = "/dev/disk/by-id/virtio-a.b-c /run/secrets squashfs ro 0 0\n";
        let string = format!("\0{OEM_PREFIX}fstab.extra={}\0", STANDARD.encode(line));
        for text in [unit, line, "/dev/disk/by-id/virtio-z /data ext4 ro 0 0\n"] {
            let expected = (!text.contains("ext4")).then(|| "a.b-c".to_owned());
            let found = in_text(text).map(|serial| serial.as_str().to_owned());
            assert_eq!(found, expected, "{text}");
        }
        let found = in_strings(&string).map(|serial| serial.as_str().to_owned());
        assert_eq!(found.as_deref(), Some("a.b-c"));
    }
}
