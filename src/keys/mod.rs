//! Keys: of encrypted images, and of QEMU's secret objects.
//!
//! `file` reads key files and makes them, `identity` is age's kind of key, `signer` signs,
//! `wrap` encrypts what may then stand on a command line.
//!
//! Invariant: what is kept of a key is in locked memory (`held`), and what works with one
//! leaves nothing of it on the stack (`without_traces`).

mod file;
#[cfg(feature = "seal")]
pub mod identity;
pub mod signer;
pub mod wrap;

use std::rc::Rc;

use credimg_formats::{Buffer, Secret};

pub(crate) use crate::host::memory::{held, hold, hold_range, without_traces};
pub use file::{read, read_master, read_or_make};

pub use crate::host::private::Owners;
use crate::host::random;
use crate::report::Failure;

/// Length of a random key's text: 256 bits as hexadecimal digits.
const RANDOM_DIGITS: usize = 64;
/// Longest key in bytes: what cryptsetup takes at a prompt.
pub const MAX_BYTES: usize = 512;

/// What opens an encrypted image: 1 to 512 bytes of UTF-8 without NUL that do not end
/// in a newline, so that QEMU, cryptsetup and systemd take the same bytes from one file.
#[derive(Clone, Debug)]
pub struct Key(Rc<Secret>);

impl Key {
    /// A fresh random key: 64 hexadecimal digits.
    pub fn generate() -> Result<Self, Failure> {
        without_traces(|| {
            let mut bytes = Buffer::zeroed(RANDOM_DIGITS / 2);
            hold(&bytes);
            random::fill(&mut bytes)?;
            let mut text = Buffer::zeroed(RANDOM_DIGITS);
            hold(&text);
            for (to, byte) in text.chunks_exact_mut(2).zip(bytes.iter()) {
                to.copy_from_slice(&[byte >> 4, byte & 15].map(digit));
            }
            Ok(Self(Rc::new(text.into_secret(RANDOM_DIGITS))))
        })
    }

    /// The bytes themselves.
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// The bytes, where nobody else has them; else a copy.
    pub fn into_secret(self) -> Secret {
        Rc::try_unwrap(self.0).unwrap_or_else(|shared| held(Secret::clone(&shared)))
    }

    /// Whether it has the form of a random key of 256 bits: 64 hexadecimal digits. Any
    /// other key is taken for a passphrase that somebody chose.
    pub fn is_random(&self) -> bool {
        self.0.len() == RANDOM_DIGITS && self.0.expose().iter().all(u8::is_ascii_hexdigit)
    }

    /// Keeps the key's memory out of the swap.
    fn held(secret: Secret) -> Self {
        Self(Rc::new(held(secret)))
    }
}

/// The hexadecimal digit of 0 to 15.
fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn generated_keys_are_64_digits_and_never_the_same() {
        let [first, second] = [(); 2].map(|()| Key::generate().unwrap());
        assert!(first.is_random() && second.is_random());
        assert_ne!(first.secret(), second.secret());
    }

    #[test]
    fn passphrases_are_told_from_random_keys() {
        let is_random = |text: &str| Key::held(Secret::from(text.as_bytes())).is_random();
        assert!(is_random(&"0aF9".repeat(16)));
        assert!(!is_random(&"0aF9".repeat(15)));
        assert!(!is_random(&"0aF9".repeat(17)));
        assert!(!is_random(&"0aFg".repeat(16)));
    }
}
