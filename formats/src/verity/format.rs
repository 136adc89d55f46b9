//! The on-disk record of dm-verity: the page "Verity superblock format" of cryptsetup's wiki, and
//! Linux's Documentation/admin-guide/device-mapper/verity.rst. Numbers are little endian.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// First bytes of a superblock.
pub const SIGNATURE: [u8; 8] = *b"verity\0\0";
/// The only version of the superblock.
pub const VERSION: u32 = 1;
/// Hash type of Chromium OS: a block is hashed before the salt.
pub const SALT_BEHIND: u32 = 0;
/// Hash type of what is written here, and by default by veritysetup: a block is hashed behind the
/// salt.
pub const SALT_BEFORE: u32 = 1;
/// Longest salt.
pub const SALT_MAX_BYTES: usize = 256;
/// Smallest block, of data and of hashes.
pub const BLOCK_MIN_BYTES: u32 = 512;
/// Largest block of data that Linux takes whatever its pages are, and of hashes that is written
/// here.
pub const BLOCK_MAX_BYTES: u32 = 4096;

/// The superblock, right behind the data.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct SuperBlock {
    /// [`SIGNATURE`].
    pub signature: [u8; 8],
    /// [`VERSION`].
    pub version: U32,
    /// [`SALT_BEHIND`] or [`SALT_BEFORE`].
    pub hash_type: U32,
    /// Bytes in the order of the text form.
    pub uuid: [u8; 16],
    /// Name of the hash, padded with NUL: `sha256`.
    pub algorithm: [u8; 32],
    /// A power of two.
    pub data_block_bytes: U32,
    /// A power of two.
    pub hash_block_bytes: U32,
    /// How many blocks of data there are.
    pub data_blocks: U64,
    /// Of the salt.
    pub salt_bytes: U16,
    /// Zero.
    pub padding: [u8; 6],
    /// Zeros behind the salt's end.
    pub salt: [u8; SALT_MAX_BYTES],
    /// Zero.
    pub padding_to_512: [u8; 168],
}

const _: () = assert!(size_of::<SuperBlock>() == 512);
const _: () = assert!(std::mem::offset_of!(SuperBlock, salt) == 88);

/// Length of the superblock.
pub const SUPER_BLOCK_BYTES: u64 = size_of::<SuperBlock>() as u64;
