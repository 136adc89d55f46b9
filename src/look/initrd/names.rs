//! Reads the names in archives of cpio, in the forms `newc` and `crc`. The contents of the files are
//! skipped.

use std::io::{self, BufRead, Read};

use super::note;
use crate::delivery::initrd::Contents;
use crate::delivery::initrd::newc::{
    ALIGNMENT_BYTES, HEADER_BYTES, MAGIC, Number, TRAILER, number,
};
use crate::host::signals;

/// The first characters of a header in the form `crc`; the rest of the header is as in `newc`.
const CRC_MAGIC: &str = "070702";
/// The longest name that Linux takes, with its zero (`PATH_MAX`).
const NAME_MAX_BYTES: u32 = 4096;

/// Whether these are the first bytes of an archive.
pub(super) fn is_archive(start: &[u8]) -> bool {
    start == MAGIC.as_bytes() || start == CRC_MAGIC.as_bytes()
}

/// Skips zeros.
pub(super) fn pass_zeros(reader: &mut impl BufRead, left_bytes: &mut u64) -> io::Result<()> {
    loop {
        signals::check()?;
        let buffer = reader.fill_buf()?;
        let zeros = buffer.iter().position(|byte| *byte != 0).unwrap_or(buffer.len());
        let is_end = zeros < buffer.len() || buffer.is_empty();
        reader.consume(zeros);
        spend(left_bytes, zeros as u64)?;
        if is_end {
            return Ok(());
        }
    }
}

/// Counts bytes that are read. More than are left is an [`io::ErrorKind::QuotaExceeded`].
fn spend(left_bytes: &mut u64, bytes: u64) -> io::Result<()> {
    *left_bytes = left_bytes.checked_sub(bytes).ok_or(io::ErrorKind::QuotaExceeded)?;
    Ok(())
}

/// Reads archives, and notes what the names in them tell.
pub(super) struct Names<'a, R> {
    reader: &'a mut R,
    left_bytes: &'a mut u64,
    contents: &'a mut Contents,
}

impl<'a, R: BufRead> Names<'a, R> {
    pub(super) fn new(
        reader: &'a mut R,
        left_bytes: &'a mut u64,
        contents: &'a mut Contents,
    ) -> Self {
        Self { reader, left_bytes, contents }
    }

    /// Reads all archives up to the end, with zeros between them.
    pub(super) fn all(&mut self) -> io::Result<()> {
        loop {
            pass_zeros(self.reader, self.left_bytes)?;
            if self.reader.fill_buf()?.is_empty() || self.contents.is_settled() {
                return Ok(());
            }
            self.one()?;
        }
    }

    /// Reads one archive, up to its last entry.
    pub(super) fn one(&mut self) -> io::Result<()> {
        while self.entry()? {
            signals::check()?;
            if self.contents.is_settled() {
                break;
            }
        }
        Ok(())
    }

    /// Reads one entry; false for the last of an archive.
    fn entry(&mut self) -> io::Result<bool> {
        let mut header = Vec::new();
        self.take(HEADER_BYTES as u64, &mut header)?;
        let is_known = header.get(..MAGIC.len()).is_some_and(is_archive);
        let content_bytes = number(&header, Number::ContentBytes).filter(|_| is_known);
        let name_bytes =
            number(&header, Number::NameBytes).filter(|length| *length <= NAME_MAX_BYTES);
        let (Some(content_bytes), Some(name_bytes)) = (content_bytes, name_bytes) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut name = Vec::new();
        self.take(name_bytes.into(), &mut name)?;
        self.pass(padding_bytes(HEADER_BYTES as u64 + u64::from(name_bytes)))?;
        let name = name.strip_suffix(&[0]).unwrap_or(&name);
        note(name, self.contents);
        self.pass(u64::from(content_bytes) + padding_bytes(content_bytes.into()))?;
        Ok(name != TRAILER.as_bytes())
    }

    /// Reads exactly `length_bytes`, which must be few.
    fn take(&mut self, length_bytes: u64, into: &mut Vec<u8>) -> io::Result<()> {
        spend(self.left_bytes, length_bytes)?;
        let got = self.reader.by_ref().take(length_bytes).read_to_end(into)?;
        if got as u64 == length_bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Skips `length_bytes`.
    fn pass(&mut self, length_bytes: u64) -> io::Result<()> {
        spend(self.left_bytes, length_bytes)?;
        let mut left = length_bytes;
        while left > 0 {
            signals::check()?;
            let there = self.reader.fill_buf()?.len();
            if there == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let passed = usize::try_from(left).unwrap_or(usize::MAX).min(there);
            self.reader.consume(passed);
            left -= passed as u64;
        }
        Ok(())
    }
}

fn padding_bytes(length_bytes: u64) -> u64 {
    length_bytes.next_multiple_of(ALIGNMENT_BYTES as u64) - length_bytes
}
