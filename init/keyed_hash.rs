//! Keyed hashes, which stand on the console for what was found. This file is part of credimg too,
//! which makes the same hashes of what was sent.

#![expect(deprecated, reason = "SipHash 2-4 is made for keys; that of the newer hasher may change")]

use core::hash::{Hasher, SipHasher};

/// The key of one run of `credimg probe`.
#[derive(Clone, Copy)]
pub(crate) struct Key(u64, u64);

impl Key {
    /// The key in these bytes, of which the first 16 count.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut halves = bytes.chunks_exact(8).map(|half| {
            half.iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
        });
        Self(halves.next().unwrap_or(0), halves.next().unwrap_or(0))
    }

    /// Begins the hash of something of this kind.
    pub(crate) fn hash(&self, kind: &[u8]) -> KeyedHash {
        let mut hash = KeyedHash(SipHasher::new_with_keys(self.0, self.1));
        hash.add(kind);
        hash.add(&[0]);
        hash
    }
}

/// A hash in hexadecimal digits, as it stands on the console.
pub(crate) type Digits = [u8; 16];

/// A hash to which bytes are added.
pub(crate) struct KeyedHash(SipHasher);

impl KeyedHash {
    /// Adds these bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The hash of what was added so far.
    pub(crate) fn digits(&self) -> Digits {
        let mut number = self.0.finish();
        [0; 16].map(|_: u8| {
            number = number.rotate_left(4);
            let [low, ..] = number.to_le_bytes();
            match low & 15 {
                digit @ 0..10 => b'0' + digit,
                digit => b'a' + digit - 10,
            }
        })
    }
}
