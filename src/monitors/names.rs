//! What the disk is called: its serial in the guest, its id in the monitor.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Place;
use crate::report::{Exit, Failure};

/// A disk's serial number: 1 to 20 ASCII letters, digits, dots, underscores
/// and hyphens. Every bus carries these unchanged (virtio has 20 bytes and QEMU
/// cuts a longer one in silence), and so does udev in `/dev/disk/by-id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serial(String);

impl Serial {
    /// Longest serial in bytes: `VIRTIO_BLK_ID_BYTES` (virtio 1.2, 5.2.6), also of `SN` in NVM Express.
    pub const MAX_BYTES: usize = 20;

    /// Checks a serial that was asked for.
    pub fn new(text: &str) -> Result<Self, Failure> {
        let start = if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(()) };
        start.and_then(|()| check_word(text, Self::MAX_BYTES)).map_err(|fault| {
            Failure::new(Exit::Usage, format!("the drive's serial is not usable: {fault}"))
        })?;
        Ok(Self(text.to_owned()))
    }

    /// The serial of a disk with this volume label: the label in lower case.
    pub fn from_label(label: &str) -> Result<Self, Failure> {
        Self::new(&label.to_ascii_lowercase()).map_err(|failure| {
            failure.hint("the serial comes from the volume label: give another one with --serial")
        })
    }

    /// The serial of a disk without a label, from the image's file name up to its extension:
    /// in lower case, with `-` for what no serial holds, and the last of it where it is too
    /// long, as numbers stand at the end. So images of several names go with one machine. An
    /// image that has no name, in memory or a stream, has the serial `credimg`. From the second
    /// place on the number of the place follows, as in `disk-2`, so that images of one name, in
    /// two directories or in memory, go with one machine as well.
    pub fn from_path(image: &Path, place: Place) -> Self {
        let is_unnamed = image.as_os_str() == "-" || image.starts_with("/proc/self/fd");
        let stem = image.file_stem().filter(|_| !is_unnamed).unwrap_or(OsStr::new("credimg"));
        let serve = |byte: &u8| if is_word(*byte) { byte.to_ascii_lowercase() } else { b'-' };
        let bytes: Vec<u8> = stem.as_bytes().iter().map(serve).collect();
        let end = match place {
            Place::Nth(0 | 1) | Place::Auto => String::new(),
            Place::Nth(nth) => format!("-{nth}"),
        };
        let last = (bytes.len() + end.len()).saturating_sub(Self::MAX_BYTES);
        let kept: String = bytes.iter().skip(last).copied().map(char::from).collect();
        Self(kept + &end)
    }

    /// The serial itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A drive's name in QEMU: a letter, then letters, digits, `.`, `_` and `-`, at
/// most 31 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveId(String);

impl DriveId {
    /// Longest id in bytes: a `-blockdev` node name has 31, and ids serve as such.
    pub const MAX_BYTES: usize = 31;

    /// Checks an id that was asked for.
    pub fn new(text: &str) -> Result<Self, Failure> {
        Self::of(text, "the drive's id is not usable")
    }

    /// Checks the id of something else than a drive; errors begin with `fault`.
    pub fn of(text: &str, fault: &str) -> Result<Self, Failure> {
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphabetic());
        let start =
            if begins_well { Ok(()) } else { Err("it must begin with a letter".to_owned()) };
        let checked = start.and_then(|()| check_word(text, Self::MAX_BYTES));
        checked.map_err(|reason| Failure::new(Exit::Usage, format!("{fault}: {reason}")))?;
        Ok(Self(text.to_owned()))
    }

    /// The id of a drive that has this serial: `credimg-SERIAL`.
    pub fn from_serial(serial: &Serial) -> Self {
        Self(format!("credimg-{}", serial.as_str()))
    }

    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_word(text: &str, max_bytes: usize) -> Result<(), String> {
    if text.len() > max_bytes {
        return Err(format!("it is {} bytes long, at most {max_bytes} are possible", text.len()));
    }
    if text.bytes().all(is_word) {
        return Ok(());
    }
    Err("only letters, digits, `.`, `_` and `-` are possible".to_owned())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn serials_are_what_every_bus_carries() {
        for good in ["a", "-", "0123456789abcdefg-._"] {
            assert_eq!(Serial::new(good).unwrap().as_str(), good);
        }
        for (bad, expected) in [
            ("", "it is empty"),
            ("012345678901234567890", "it is 21 bytes long, at most 20 are possible"),
            ("a b", "only letters, digits, `.`, `_` and `-` are possible"),
            ("a,b", "only letters, digits, `.`, `_` and `-` are possible"),
            ("é", "only letters, digits, `.`, `_` and `-` are possible"),
        ] {
            let failure = Serial::new(bad).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert_eq!(failure.message, format!("the drive's serial is not usable: {expected}"));
        }
    }

    #[test]
    fn labels_make_serials_and_serials_make_ids() {
        let serial = Serial::from_label("CHIMERA-1").unwrap();
        assert_eq!(serial.as_str(), "chimera-1");
        assert_eq!(DriveId::from_serial(&serial).as_str(), "credimg-chimera-1");
        assert!(Serial::from_label("A+B").unwrap_err().hint.unwrap().contains("--serial"));
    }

    #[test]
    fn file_names_make_serials() {
        for (path, expected) in [
            ("out/Chimera-2.erofs", "chimera-2"),
            ("a.b.iso", "a.b"),
            ("grüße, 1.squashfs", "gr----e--1"),
            ("image", "image"),
            (".erofs", ".erofs"),
            ("virtual-machine-images-01.erofs", "al-machine-images-01"),
            ("-", "credimg"),
            ("/proc/self/fd/7", "credimg"),
        ] {
            let serial = Serial::from_path(Path::new(path), Place::Nth(1));
            assert_eq!(serial.as_str(), expected);
            assert_eq!(Serial::new(expected).unwrap(), serial);
            assert_eq!(Serial::from_path(Path::new(path), Place::Auto), serial);
        }
        for (path, place, expected) in [
            ("b/disk.erofs", 2, "disk-2"),
            ("/proc/self/fd/7", 16, "credimg-16"),
            ("virtual-machine-images-01.erofs", 2, "-machine-images-01-2"),
        ] {
            let serial = Serial::from_path(Path::new(path), Place::Nth(place));
            assert_eq!(serial.as_str(), expected);
            assert_eq!(Serial::new(expected).unwrap(), serial);
        }
    }

    #[test]
    fn the_longest_serial_makes_a_valid_id() {
        let serial = Serial::new(&"x".repeat(Serial::MAX_BYTES)).unwrap();
        let id = DriveId::from_serial(&serial);
        assert_eq!(DriveId::new(id.as_str()).unwrap(), id);
    }

    #[test]
    fn ids_follow_qemu() {
        assert_eq!(DriveId::new("a1.b_c-D").unwrap().as_str(), "a1.b_c-D");
        assert_eq!(DriveId::new(&"x".repeat(31)).unwrap().as_str().len(), 31);
        for bad in ["", "1a", "-a", "a,b", "a b", "a:b", "é", "aé", &"x".repeat(32)] {
            assert_eq!(DriveId::new(bad).unwrap_err().exit, Exit::Usage);
        }
    }
}
