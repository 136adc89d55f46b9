//! The first bytes of a file, read as if they were all of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// The first bytes of a file: an image without the hash tree behind it. It has a position of its
/// own, whatever other descriptors of the file do.
pub(crate) struct FileStart {
    file: File,
    length_bytes: u64,
    position: u64,
}

impl FileStart {
    /// The first `length_bytes` of the file, or fewer if the file is shorter.
    pub(crate) fn new(file: File, length_bytes: u64) -> Self {
        Self { file, length_bytes, position: 0 }
    }

    /// A second handle, which begins at the start.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::new(self.file.try_clone()?, self.length_bytes))
    }

    /// The whole file.
    pub(crate) fn whole(file: File) -> Self {
        Self::new(file, u64::MAX)
    }
}

impl Read for FileStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length_bytes.saturating_sub(self.position);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let (window, _) = buffer.split_at_mut(length);
        let got = self.file.read_at(window, self.position)?;
        self.position = self.position.saturating_add(got as u64);
        Ok(got)
    }
}

impl Seek for FileStart {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => {
                let end = self.file.metadata()?.len().min(self.length_bytes);
                end.checked_add_signed(offset)
            }
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::io::Write;

    use super::*;

    #[test]
    fn nothing_is_read_behind_the_part() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut part = FileStart::new(file.try_clone().unwrap(), 4);
        let mut text = String::new();
        part.read_to_string(&mut text).unwrap();
        assert_eq!(text, "0123");
        assert_eq!(part.seek(SeekFrom::End(-1)).unwrap(), 3);
        assert_eq!(part.read(&mut [0; 9]).unwrap(), 1);
        let mut whole = FileStart::whole(file);
        assert_eq!(whole.seek(SeekFrom::End(0)).unwrap(), 10);
        assert!(whole.seek(SeekFrom::Current(-11)).is_err());
    }
}
