//! What a virtual machine monitor is told about the image. The renderers are
//! pure: they see path, id, serial and bus, never content.

pub mod qemu;
mod shell;

use std::path::PathBuf;

use clap::ValueEnum;

use crate::report::{Exit, Failure};

/// The drive to attach. It is read-only on every bus and in every style.
#[derive(Clone, Debug)]
pub struct Drive {
    /// Names the drive in the monitor, and the controllers that come with it.
    pub id: DriveId,
    /// What the guest finds the disk by.
    pub serial: Serial,
    /// The image, absolute or relative to the directory the monitor starts in.
    pub path: PathBuf,
    /// The device that the guest sees.
    pub bus: Bus,
}

/// The device that the guest sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Bus {
    /// virtio-blk: /dev/vdX in the guest
    #[default]
    Virtio,
    /// A hard disk on its own virtio-scsi controller: /dev/sdX in the guest
    Scsi,
    /// A USB stick on its own xHCI controller: /dev/sdX in the guest
    Usb,
    /// An NVM Express disk: /dev/nvmeXn1 in the guest
    Nvme,
    /// A CD-ROM on its own virtio-scsi controller: /dev/srX in the guest, open to its group cdrom
    Cdrom,
}

impl Bus {
    /// What people should know before they use this bus for secrets.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Cdrom => Some(
                "guests give CD-ROM drives (/dev/sr0) to the group cdrom and to whoever sits at the \
                 console: they can read the whole disk, and desktops mount it with owners and \
                 modes of their own; prefer --bus virtio",
            ),
            Self::Virtio | Self::Scsi | Self::Usb | Self::Nvme => None,
        }
    }
}

/// How the arguments are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// One line of -drive and -device, quoted for the shell's `eval`
    #[default]
    Shell,
    /// The same arguments, one a line, unquoted
    Lines,
    /// The same arguments as a JSON array of strings
    Json,
    /// One line of -blockdev and -device, quoted for the shell
    Blockdev,
    /// A configuration file for -readconfig
    Readconfig,
    /// Nothing
    None,
}

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

    /// The serial of a disk with this volume label: the label in lower case,
    /// or `credimg` without one.
    pub fn from_label(label: Option<&str>) -> Result<Self, Failure> {
        Self::new(&label.unwrap_or("credimg").to_ascii_lowercase()).map_err(|failure| {
            failure.hint("the serial comes from the volume label: give another one with --serial")
        })
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
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphabetic());
        let start =
            if begins_well { Ok(()) } else { Err("it must begin with a letter".to_owned()) };
        start.and_then(|()| check_word(text, Self::MAX_BYTES)).map_err(|fault| {
            Failure::new(Exit::Usage, format!("the drive's id is not usable: {fault}"))
        })?;
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
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.bytes().all(is_word) {
        return Ok(());
    }
    Err("only letters, digits, `.`, `_` and `-` are possible".to_owned())
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
        let serial = Serial::from_label(Some("CHIMERA-1")).unwrap();
        assert_eq!(serial.as_str(), "chimera-1");
        assert_eq!(DriveId::from_serial(&serial).as_str(), "credimg-chimera-1");
        assert_eq!(Serial::from_label(None).unwrap().as_str(), "credimg");
        assert!(Serial::from_label(Some("A+B")).unwrap_err().hint.unwrap().contains("--serial"));
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
