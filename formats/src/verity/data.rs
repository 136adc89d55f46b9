//! The data of an image that has a hash tree.

use std::io;

use super::find::Found;
use crate::read::Storage;

/// The data of an image that has a tree. Readers see it as any other image. It is not checked
/// against the tree; [`verify`](super::verify()) does that.
pub struct Data<S> {
    storage: S,
    data_bytes: u64,
}

impl<S: Storage> Data<S> {
    /// The data of `storage`, in which the tree was found.
    pub fn new(storage: S, found: &Found) -> Self {
        Self { storage, data_bytes: found.data_bytes }
    }
}

impl<S: Storage> Storage for Data<S> {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.storage.size_bytes()?.min(self.data_bytes))
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.data_bytes.saturating_sub(offset_bytes);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.storage.read_at(offset_bytes, buffer.split_at_mut(length).0)
    }
}
