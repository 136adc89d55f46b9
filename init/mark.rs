//! Keyed hashes: what stands on the console in place of what was found. credimg is compiled with
//! this file as well, as it makes the same hashes of what was sent.

#![expect(deprecated, reason = "SipHash 2-4 is made for keys; that of the newer hasher may change")]

use core::hash::{Hasher, SipHasher};

/// The key of this run.
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

    /// The beginning of the hash of something of this kind.
    pub(crate) fn mark(&self, kind: &[u8]) -> Mark {
        let mut mark = Mark(SipHasher::new_with_keys(self.0, self.1));
        mark.add(kind);
        mark.add(&[0]);
        mark
    }
}

/// A hash in hexadecimal digits, as it stands on the console.
pub(crate) type Digits = [u8; 16];

/// A hash in the making.
pub(crate) struct Mark(SipHasher);

impl Mark {
    /// Adds to it.
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
