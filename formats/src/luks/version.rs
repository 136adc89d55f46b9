//! The versions of LUKS, by their names.

use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// The payload of LUKS1 begins behind all its key slots.
pub(super) const LUKS1_PAYLOAD_BYTES: u64 = 2 << 20;
/// The payload of LUKS2 begins where partitions do.
pub(super) const LUKS2_PAYLOAD_BYTES: u64 = 1 << 20;

/// A version of LUKS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// What QEMU itself decrypts, besides cryptsetup and Linux.
    Luks1,
    /// What has a label; a memory-hard key derivation and larger sectors on request.
    Luks2,
}

impl Version {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Luks1, Self::Luks2];

    /// The name in options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Luks1 => "luks1",
            Self::Luks2 => "luks2",
        }
    }

    /// Where the payload begins in a volume that is written here.
    pub const fn payload_offset_bytes(self) -> u64 {
        match self {
            Self::Luks1 => LUKS1_PAYLOAD_BYTES,
            Self::Luks2 => LUKS2_PAYLOAD_BYTES,
        }
    }
}

impl FromStr for Version {
    type Err = Error;

    /// Takes the [name](Self::name).
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|version| version.name() == text).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "unknown version of LUKS: expected luks1 or luks2")
        })
    }
}
