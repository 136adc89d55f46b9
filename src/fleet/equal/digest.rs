//! A number of 64 bits for each value, made with a key that nobody knows.

use std::hash::Hasher;
use std::io::{self, Write};

use credimg_formats::{Content, Error, Sink};
use siphasher::sip::SipHasher13;

use crate::host::memory;
use crate::host::random;
use crate::report::Failure;

/// Length of the key of `SipHash`. Without the key a number tells nothing of its value. Of the
/// hashes that promise this it is the fastest: 7 µs for the files of a small machine. SHA-256 takes
/// 19 µs with instructions of its own, and several times as long without.
const KEY_BYTES: usize = 16;

/// A random key, in memory that is never swapped out. It is wiped like all that is freed.
pub(super) struct Key(Box<[u8; KEY_BYTES]>);

impl Key {
    pub(super) fn new() -> Result<Self, Failure> {
        let mut key = Box::new([0; KEY_BYTES]);
        memory::hold(&*key);
        random::fill(&mut *key)?;
        Ok(Self(key))
    }

    /// The number of `content` without a newline at its end, which is easily lost when a password
    /// is copied. Equal values have equal numbers. Others have so only by chance: among a million
    /// values once in forty million runs.
    pub(super) fn digest(&self, content: &Content) -> Result<u64, Error> {
        let mut digester = self.digester();
        content.stream(&mut digester)?;
        Ok(digester.number())
    }

    /// The number of a value in memory.
    pub(super) fn digest_of(&self, bytes: &[u8]) -> u64 {
        let mut digester = self.digester();
        digester.take(bytes);
        digester.number()
    }

    fn digester(&self) -> Digester {
        Digester { hash: SipHasher13::new_with_key(&self.0), newline: false }
    }
}

/// Hashes what is written into it.
struct Digester {
    hash: SipHasher13,
    /// Whether the last byte so far was a newline, which is not hashed yet.
    newline: bool,
}

impl Digester {
    fn take(&mut self, bytes: &[u8]) {
        let Some((last, before)) = bytes.split_last() else { return };
        if self.newline {
            self.hash.write(b"\n");
        }
        self.newline = *last == b'\n';
        self.hash.write(if self.newline { before } else { bytes });
    }

    fn number(&self) -> u64 {
        self.hash.finish()
    }
}

impl Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Digester {}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn equal_values_have_one_number_however_they_come() {
        let key = Key::new().unwrap();
        let digest = |bytes: &[u8]| {
            let number = key.digest_of(bytes);
            assert_eq!(key.digest(&Content::from(bytes)).unwrap(), number);
            number
        };
        assert_eq!(digest(b"correct horse"), digest(b"correct horse\n"));
        for other in [&b"correct hors"[..], b"correct horse\n\n", b"\ncorrect horse", b""] {
            assert_ne!(digest(b"correct horse"), digest(other), "{other:?}");
        }
        let mut pieces = key.digester();
        for piece in [&b"correct"[..], b"", b"\n", b"\n", b"horse\n"] {
            pieces.write_all(piece).unwrap();
        }
        assert_eq!(pieces.number(), digest(b"correct\n\nhorse"));
        let other = Key::new().unwrap().digest_of(b"correct horse");
        assert_ne!(digest(b"correct horse"), other, "each key has numbers of its own");
    }
}
