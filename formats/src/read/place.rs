//! A storage for what reads and seeks: `probe`, and the header of a volume.

use std::io::{self, Read, Seek, SeekFrom};

use super::Storage;

/// Reads a storage from its start on.
pub(crate) fn start(storage: &dyn Storage) -> impl Read + Seek {
    Place { storage, offset_bytes: 0 }
}

/// A place in a storage.
struct Place<'a> {
    storage: &'a dyn Storage,
    offset_bytes: u64,
}

impl Read for Place<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.storage.read_at(self.offset_bytes, buffer)?;
        self.offset_bytes = self.offset_bytes.saturating_add(got as u64);
        Ok(got)
    }
}

impl Seek for Place<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let offset_bytes = match to {
            SeekFrom::Start(offset_bytes) => Some(offset_bytes),
            SeekFrom::End(delta) => self.storage.size_bytes()?.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.offset_bytes.checked_add_signed(delta),
        };
        self.offset_bytes = offset_bytes.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset_bytes)
    }
}
