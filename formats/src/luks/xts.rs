//! AES-XTS (IEEE 1619), a whole number of blocks at a time, so without ciphertext
//! stealing: disk sectors need none.

use std::fmt;

use aes::cipher::consts::U16;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use aes::{Aes128, Aes256, Block};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::format::SECTOR_BYTES;
use crate::error::{Error, ErrorKind, Result};

/// Bytes of a cipher block.
const BLOCK_BYTES: usize = 16;
/// Blocks that are encrypted at once, so that the processor works on several: those
/// of a small sector.
const RUN_BLOCKS: usize = 32;

/// The key of a volume: 64 bytes, for AES-256-XTS, with the schedules made of them.
/// Wiped when dropped.
pub struct VolumeKey(Box<KeyMemory>);

/// Everything secret of a volume key, at one address.
struct KeyMemory {
    bytes: [u8; VolumeKey::BYTES],
    cipher: Pair<Aes256>,
}

impl VolumeKey {
    /// Length of a key.
    pub const BYTES: usize = 64;

    /// Takes `bytes`: the key of the data, then that of the tweaks. Two equal halves,
    /// which no random source makes, are [`ErrorKind::Key`]: XTS is not safe with them
    /// (FIPS 140-3 IG C.I).
    pub fn new(bytes: &[u8; Self::BYTES]) -> Result<Self> {
        let (data, tweak) = bytes.split_at(Self::BYTES / 2);
        if data == tweak {
            return Err(Error::new(ErrorKind::Key, "the halves of the volume key are equal"));
        }
        let cipher = Pair::new(data, tweak).ok_or_else(unusable)?;
        Ok(Self(Box::new(KeyMemory { bytes: *bytes, cipher })))
    }

    /// Address and length of everything secret in it, for locking the memory; it
    /// stays there until the key is dropped.
    pub fn memory(&self) -> (*const u8, usize) {
        (std::ptr::from_ref(&*self.0).cast(), size_of::<KeyMemory>())
    }

    /// Encrypts `data`, whole sectors of `sector_bytes` (512 or 4096), in place. The
    /// first is number `first_sector`, which counts 512-byte units whatever the
    /// sectors' size ("plain64"). Bytes behind the last whole sector stay as they are.
    pub fn encrypt(&self, first_sector: u64, sector_bytes: usize, data: &mut [u8]) {
        self.0.cipher.apply::<Encrypt>(first_sector, sector_bytes, data);
    }

    /// Decrypts what [`encrypt`](Self::encrypt) made.
    pub fn decrypt(&self, first_sector: u64, sector_bytes: usize, data: &mut [u8]) {
        self.0.cipher.apply::<Decrypt>(first_sector, sector_bytes, data);
    }

    /// The key itself.
    pub(super) fn expose(&self) -> &[u8; Self::BYTES] {
        &self.0.bytes
    }
}

impl Drop for KeyMemory {
    fn drop(&mut self) {
        // The schedules wipe themselves.
        self.bytes.zeroize();
    }
}

const _: () = {
    const fn wipes_itself<T: ZeroizeOnDrop>() {}
    wipes_itself::<Aes128>();
    wipes_itself::<Aes256>();
};

impl fmt::Debug for VolumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VolumeKey({} bytes)", Self::BYTES)
    }
}

/// AES-XTS of either key length, as a reader meets it.
pub(super) enum Xts {
    Aes128(Box<Pair<Aes128>>),
    Aes256(Box<Pair<Aes256>>),
}

impl Xts {
    /// Takes a key of 32 or 64 bytes.
    pub(super) fn new(key: &[u8]) -> Result<Self> {
        let (data, tweak) = key.split_at(key.len() / 2);
        let cipher = if key.len() == VolumeKey::BYTES {
            Pair::new(data, tweak).map(|pair| Self::Aes256(Box::new(pair)))
        } else {
            Pair::new(data, tweak).map(|pair| Self::Aes128(Box::new(pair)))
        };
        cipher.ok_or_else(unusable)
    }

    /// Address and length of the schedules.
    pub(super) fn memory(&self) -> (*const u8, usize) {
        match self {
            Self::Aes128(pair) => (std::ptr::from_ref(&**pair).cast(), size_of::<Pair<Aes128>>()),
            Self::Aes256(pair) => (std::ptr::from_ref(&**pair).cast(), size_of::<Pair<Aes256>>()),
        }
    }

    pub(super) fn encrypt(&self, first_sector: u64, sector_bytes: usize, data: &mut [u8]) {
        match self {
            Self::Aes128(pair) => pair.apply::<Encrypt>(first_sector, sector_bytes, data),
            Self::Aes256(pair) => pair.apply::<Encrypt>(first_sector, sector_bytes, data),
        }
    }

    pub(super) fn decrypt(&self, first_sector: u64, sector_bytes: usize, data: &mut [u8]) {
        match self {
            Self::Aes128(pair) => pair.apply::<Decrypt>(first_sector, sector_bytes, data),
            Self::Aes256(pair) => pair.apply::<Decrypt>(first_sector, sector_bytes, data),
        }
    }
}

fn unusable() -> Error {
    Error::new(ErrorKind::Key, "the key has a length that AES-XTS does not take")
}

/// What is done with the blocks.
trait Direction {
    fn apply<C>(cipher: &C, blocks: &mut [Block])
    where
        C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>;
}

struct Encrypt;

impl Direction for Encrypt {
    fn apply<C>(cipher: &C, blocks: &mut [Block])
    where
        C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
    {
        cipher.encrypt_blocks(blocks);
    }
}

struct Decrypt;

impl Direction for Decrypt {
    fn apply<C>(cipher: &C, blocks: &mut [Block])
    where
        C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
    {
        cipher.decrypt_blocks(blocks);
    }
}

/// The cipher of the data and that of the tweaks.
pub(super) struct Pair<C> {
    data: C,
    tweak: C,
}

impl<C> Pair<C>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    fn new(data: &[u8], tweak: &[u8]) -> Option<Self> {
        Some(Self { data: C::new_from_slice(data).ok()?, tweak: C::new_from_slice(tweak).ok()? })
    }

    fn apply<D: Direction>(&self, first_sector: u64, sector_bytes: usize, data: &mut [u8]) {
        let step = sector_bytes as u64 / SECTOR_BYTES;
        let mut sector = first_sector;
        // The first tweaks of many sectors are encrypted at once, too.
        for sectors in data.chunks_mut(sector_bytes * RUN_BLOCKS) {
            let mut firsts = [Block::default(); RUN_BLOCKS];
            for first in &mut firsts {
                *first = Array(u128::from(sector).to_le_bytes());
                sector = sector.wrapping_add(step);
            }
            let count = sectors.len() / sector_bytes;
            self.tweak.encrypt_blocks(firsts.get_mut(..count).unwrap_or_default());
            for (sector, first) in sectors.chunks_exact_mut(sector_bytes).zip(&firsts) {
                self.sector::<D>(u128::from_le_bytes(first.0), sector);
            }
        }
    }

    /// IEEE 1619 5.3.2: block `j` is masked with the tweak times alpha to the `j`.
    fn sector<D: Direction>(&self, mut tweak: u128, sector: &mut [u8]) {
        for run in sector.chunks_mut(RUN_BLOCKS * BLOCK_BYTES) {
            let (blocks, _) = Array::slice_as_chunks_mut(run);
            let mut tweaks = [0; RUN_BLOCKS];
            for (of_block, block) in tweaks.iter_mut().zip(blocks.iter_mut()) {
                *of_block = tweak;
                mask(block, tweak);
                tweak = times_alpha(tweak);
            }
            D::apply(&self.data, blocks);
            for (of_block, block) in tweaks.iter().zip(blocks) {
                mask(block, *of_block);
            }
        }
    }
}

fn mask(block: &mut Block, tweak: u128) {
    *block = Array((u128::from_le_bytes(block.0) ^ tweak).to_le_bytes());
}

/// Multiplies by the primitive element of GF(2^128) (IEEE 1619 5.2).
fn times_alpha(tweak: u128) -> u128 {
    let carry = (tweak >> 127) * 0x87;
    (tweak << 1) ^ carry
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    const VECTORS: &str = include_str!("ieee1619-vectors.txt");

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
        let (pairs, _) = hexadecimal.as_bytes().as_chunks::<2>();
        pairs.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
    }

    #[test]
    fn agrees_with_the_vectors_of_the_standard() {
        let mut before = Vec::new();
        let mut count = 0;
        for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<_> = line.split(' ').collect();
            let [number, key, sector, plaintext, ciphertext] = columns[..] else {
                panic!("{line}: not 5 columns")
            };
            let plaintext = match plaintext {
                "pattern" => (0..=255).chain(0..=255).collect(),
                _ => before,
            };
            let sector = u64::from_str_radix(sector, 16).unwrap();
            let cipher = Xts::new(&bytes(key)).unwrap();
            let mut data = plaintext.clone();
            cipher.encrypt(sector, 512, &mut data);
            assert!(data == bytes(ciphertext), "vector {number}");
            before = data.clone();
            cipher.decrypt(sector, 512, &mut data);
            assert!(data == plaintext, "vector {number}");
            count += 1;
        }
        assert_eq!(count, 8);
    }

    #[test]
    fn the_halves_of_a_volume_key_differ() {
        let error = VolumeKey::new(&[7; 64]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
    }

    #[test]
    fn shows_no_key_and_tells_where_it_is() {
        let mut bytes = [0x41; 64];
        bytes[63] = 0x42;
        let key = VolumeKey::new(&bytes).unwrap();
        assert_eq!(format!("{key:?}"), "VolumeKey(64 bytes)");
        let (start, length) = key.memory();
        let inside = key.expose().as_ptr();
        assert!(start <= inside && inside < start.wrapping_add(length));
        assert!(length >= 64 + 2 * 240, "the schedules are elsewhere");
        let moved = Box::new(key);
        assert_eq!(moved.memory(), (start, length));
    }
}
