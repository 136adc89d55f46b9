//! Where the bytes of an image are read from.

#[cfg(unix)]
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
#[cfg(unix)]
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::content::read_full;
use crate::error::{Error, Result, corrupt, unreadable, unsupported};

/// Bytes that are read at any place: a file, bytes in memory, or with [`Seekable`] whatever
/// seeks, such as an opened [`luks::Reader`](crate::luks::Reader).
pub trait Storage: Send + Sync {
    /// How many bytes there are.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset_bytes` on and returns how much of it: less only at the end.
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl dyn Storage + '_ {
    /// Fills all of `buffer`: a storage that ends before is [`ErrorKind::Corrupt`], a failing
    /// read [`ErrorKind::Source`].
    ///
    /// [`ErrorKind::Corrupt`]: crate::ErrorKind::Corrupt
    /// [`ErrorKind::Source`]: crate::ErrorKind::Source
    pub fn read_exact_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<()> {
        let got = self.read_at(offset_bytes, buffer).map_err(unreadable)?;
        if got < buffer.len() {
            let end_bytes = offset_bytes.saturating_add(buffer.len() as u64);
            let message =
                format!("the image is cut off: expected {end_bytes} bytes or more, got fewer");
            return Err(corrupt(message));
        }
        Ok(())
    }
}

impl<S: Storage + ?Sized> Storage for &S {
    fn size_bytes(&self) -> io::Result<u64> {
        (**self).size_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset_bytes, buffer)
    }
}

/// One storage for a reader and for whoever looks at its bytes besides.
impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn size_bytes(&self) -> io::Result<u64> {
        (**self).size_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset_bytes, buffer)
    }
}

impl Storage for Vec<u8> {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset_bytes).unwrap_or(usize::MAX);
        let rest = self.get(start..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        let (filled, _) = buffer.split_at_mut(length);
        filled.copy_from_slice(rest.split_at(length).0);
        Ok(length)
    }
}

#[cfg(unix)]
impl Storage for File {
    fn size_bytes(&self) -> io::Result<u64> {
        // A block device tells its size by its end alone.
        let mut file = self;
        file.seek(SeekFrom::End(0))
    }

    fn read_at(&self, mut offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
            match FileExt::read_at(self, free, offset_bytes) {
                Ok(0) => break,
                Ok(got) => {
                    filled += got;
                    offset_bytes = offset_bytes.saturating_add(got as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// A storage of whatever reads and seeks.
pub struct Seekable<R> {
    reader: Mutex<R>,
}

impl<R: Read + Seek + Send> Seekable<R> {
    /// Reads from `reader`, whose place does not matter.
    pub fn new(reader: R) -> Self {
        Self { reader: Mutex::new(reader) }
    }
}

impl<R: Read + Seek + Send> Storage for Seekable<R> {
    fn size_bytes(&self) -> io::Result<u64> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).seek(SeekFrom::End(0))
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::Start(offset_bytes))?;
        read_full(&mut *reader, buffer)
    }
}

pub(super) fn encrypted() -> Error {
    unsupported("the volume is encrypted: it is opened by its key first")
}
