//! The versions of LUKS, by their names.

use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// Where the encrypted data begins in LUKS1: behind all key slots.
pub(super) const LUKS1_PAYLOAD_BYTES: u64 = 2 << 20;
/// Where the encrypted data begins in LUKS2: at 1 MiB, as partitions do.
pub(super) const LUKS2_PAYLOAD_BYTES: u64 = 1 << 20;

/// A version of LUKS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// LUKS1, which QEMU can decrypt as well as Linux can.
    Luks1,
    /// LUKS2, whose header has a label. It can have larger sectors and a key derivation that needs
    /// much memory.
    Luks2,
}

impl Version {
    /// Every version.
    pub const ALL: [Self; 2] = [Self::Luks1, Self::Luks2];

    /// The name in options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Luks1 => "luks1",
            Self::Luks2 => "luks2",
        }
    }

    /// Where the encrypted data begins in a volume that this crate writes.
    pub const fn payload_offset_bytes(self) -> u64 {
        match self {
            Self::Luks1 => LUKS1_PAYLOAD_BYTES,
            Self::Luks2 => LUKS2_PAYLOAD_BYTES,
        }
    }
}

impl FromStr for Version {
    type Err = Error;

    /// Reads a version from its [name](Self::name).
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|version| version.name() == text).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "unknown version of LUKS: expected luks1 or luks2")
        })
    }
}
