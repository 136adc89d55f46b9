//! Keys: of encrypted images, and of QEMU's secret objects.
//!
//! `file` reads key files and makes them, `identity` is age's kind of key, `random` asks
//! the kernel, `memory` keeps keys out of the swap, `wrap` encrypts what may then stand
//! on a command line.

mod file;
pub mod identity;
mod memory;
pub mod random;
pub mod wrap;

use credimg_formats::{Buffer, Secret};

pub use file::{read, read_master, read_or_make};
pub use memory::{hold, hold_range};

pub use crate::host::private::Owners;
use crate::report::Failure;

/// Length of a random key's text: 256 bits as hexadecimal digits.
const RANDOM_DIGITS: usize = 64;
/// Longest key in bytes: what cryptsetup takes at a prompt.
pub const MAX_BYTES: usize = 512;

/// What opens an encrypted image: 1 to 512 bytes of UTF-8 without NUL that do not end
/// in a newline, so that QEMU, cryptsetup and systemd take the same bytes from one file.
#[derive(Clone, Debug)]
pub struct Key(Secret);

impl Key {
    /// A fresh random key: 64 hexadecimal digits.
    pub fn generate() -> Result<Self, Failure> {
        let mut bytes = Buffer::zeroed(RANDOM_DIGITS / 2);
        random::fill(&mut bytes)?;
        let mut text = Vec::with_capacity(RANDOM_DIGITS);
        for byte in bytes.iter() {
            text.extend([byte >> 4, byte & 15].map(digit));
        }
        Ok(Self::held(Secret::new(text)))
    }

    /// The bytes themselves.
    pub fn secret(&self) -> &Secret {
        &self.0
    }

    /// Whether it has the form of a random key of 256 bits: 64 hexadecimal digits. Any
    /// other key is taken for a passphrase that somebody chose.
    pub fn is_random(&self) -> bool {
        self.0.len() == RANDOM_DIGITS && self.0.expose().iter().all(u8::is_ascii_hexdigit)
    }

    /// Keeps the key's memory out of the swap.
    fn held(secret: Secret) -> Self {
        hold(secret.expose());
        Self(secret)
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
        let is_random = |text: &str| Key(Secret::from(text.as_bytes())).is_random();
        assert!(is_random(&"0aF9".repeat(16)));
        assert!(!is_random(&"0aF9".repeat(15)));
        assert!(!is_random(&"0aF9".repeat(17)));
        assert!(!is_random(&"0aFg".repeat(16)));
    }
}
