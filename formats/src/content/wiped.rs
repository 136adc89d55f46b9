//! Bytes in memory that are overwritten when they are dropped.

use std::fmt;

use zeroize::Zeroize;

/// Bytes that are wiped when dropped and never shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes over `bytes`; the spare capacity is wiped with them.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe_all(&mut self.0);
    }
}

/// Bytes on their way, wiped when dropped as a [`Secret`] is.
#[derive(Default)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// So many zeros.
    pub fn zeroed(length_bytes: usize) -> Self {
        Self(vec![0; length_bytes])
    }

    /// The first bytes, at most so many, kept where they are; the others are wiped.
    pub fn into_secret(mut self, length_bytes: usize) -> Secret {
        let mut bytes = std::mem::take(&mut self.0);
        bytes.get_mut(length_bytes..).unwrap_or_default().zeroize();
        bytes.truncate(length_bytes);
        Secret(bytes)
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        wipe_all(&mut self.0);
    }
}

/// Bytes that grow, wiped when dropped as a [`Secret`] is.
#[derive(Default)]
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    pub(crate) fn with_capacity(length_bytes: usize) -> Self {
        Self(Vec::with_capacity(length_bytes))
    }

    pub(crate) fn zeroed(length_bytes: usize) -> Self {
        Self(vec![0; length_bytes])
    }
}

impl std::ops::Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl std::ops::DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe_all(&mut self.0);
    }
}

/// Wipes the spare capacity, too: what the maker left there.
fn wipe_all(bytes: &mut Vec<u8>) {
    if cfg!(credimg_without_promises) {
        return;
    }
    bytes.clear();
    bytes.resize(bytes.capacity(), 0);
    // Somebody could look at it, so it is there. `zeroize` writes byte by byte, and that takes
    // longer than to write an image's content.
    zeroize::optimization_barrier(bytes.as_slice());
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl<const LENGTH: usize> From<&[u8; LENGTH]> for Secret {
    fn from(bytes: &[u8; LENGTH]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for Secret {
    /// Takes over `bytes`, spare capacity and all, which is wiped with them.
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}
