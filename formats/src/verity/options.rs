//! What the caller decides of a tree.

use super::format::{BLOCK_MAX_BYTES, BLOCK_MIN_BYTES, SALT_MAX_BYTES};
use crate::error::{Error, ErrorKind, Result};

/// A hash, as superblocks name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256: in every kernel that has dm-verity.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name in a superblock.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a hash.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// What a superblock says besides the size of the data. The same again makes the same tree of the
/// same data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Hashed with every block: at most 256 bytes. Keep it as private as the image where the image
    /// holds what can be guessed.
    pub salt: Vec<u8>,
    /// UUID of the tree, bytes in the order of its text form.
    pub uuid: [u8; 16],
    /// Size of a block of data, which becomes that of a sector of the guest's device: no larger
    /// than the image's own blocks, so 2048 for ISO 9660. A power of two from 512 to 4096.
    pub data_block_bytes: u32,
    /// Size of a block of hashes. A power of two from 512 to 4096.
    pub hash_block_bytes: u32,
    /// The hash.
    pub algorithm: Algorithm,
}

/// Blocks of 4096 bytes and SHA-256, as veritysetup has them; no salt, and the UUID is zero.
impl Default for Options {
    fn default() -> Self {
        Self {
            salt: Vec::new(),
            uuid: [0; 16],
            data_block_bytes: 4096,
            hash_block_bytes: 4096,
            algorithm: Algorithm::Sha256,
        }
    }
}

impl Options {
    /// An error of [`ErrorKind::Limit`] where a value is none that a superblock may have.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Limit, message));
        if self.salt.len() > SALT_MAX_BYTES {
            let got = self.salt.len();
            return refuse(format!(
                "the salt is too long: at most {SALT_MAX_BYTES} bytes, got {got}"
            ));
        }
        for (what, bytes) in [("data", self.data_block_bytes), ("hashes", self.hash_block_bytes)] {
            if !is_block_size(bytes) {
                return refuse(format!(
                    "expected blocks of {what} of 512, 1024, 2048 or 4096 bytes, got {bytes}"
                ));
            }
        }
        Ok(())
    }
}

/// Whether blocks may be of that size.
pub(super) const fn is_block_size(bytes: u32) -> bool {
    bytes.is_power_of_two() && bytes >= BLOCK_MIN_BYTES && bytes <= BLOCK_MAX_BYTES
}
