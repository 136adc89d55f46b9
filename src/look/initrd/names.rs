//! The names in an archive of cpio, forms `newc` and `crc`; contents are passed over.

use std::io::{self, BufRead, Read};

use super::note;
use crate::delivery::initrd::Contents;
use crate::host::signals;

/// The marks of the two forms.
const MAGICS: [&[u8]; 2] = [b"070701", b"070702"];
/// A header: a mark and thirteen numbers of eight hexadecimal digits.
const HEADER_BYTES: u64 = 110;
/// Where the length of the content and that of the name stand.
const CONTENT_AT: usize = 54;
const NAME_AT: usize = 94;
const NUMBER_BYTES: usize = 8;
/// The longest name that Linux takes, with its zero (`PATH_MAX`).
const NAME_MAX_BYTES: u32 = 4096;
const ALIGNMENT_BYTES: u64 = 4;
/// The name of what ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// Whether an archive begins so.
pub(super) fn is_archive(start: &[u8]) -> bool {
    MAGICS.contains(&start)
}

/// Passes over zeros.
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

/// Takes bytes from those that may still be read; too many are an
/// [`io::ErrorKind::QuotaExceeded`].
fn spend(left_bytes: &mut u64, bytes: u64) -> io::Result<()> {
    *left_bytes = left_bytes.checked_sub(bytes).ok_or(io::ErrorKind::QuotaExceeded)?;
    Ok(())
}

/// Reads archives, and notes what their names tell.
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

    /// Reads one archive, up to what ends it.
    pub(super) fn one(&mut self) -> io::Result<()> {
        while self.entry()? {
            signals::check()?;
            if self.contents.is_settled() {
                break;
            }
        }
        Ok(())
    }

    /// Reads one entry; false for the last.
    fn entry(&mut self) -> io::Result<bool> {
        let mut header = Vec::new();
        self.take(HEADER_BYTES, &mut header)?;
        let is_known = header.get(..6).is_some_and(is_archive);
        let content_bytes = number(&header, CONTENT_AT).filter(|_| is_known);
        let name_bytes = number(&header, NAME_AT).filter(|length| *length <= NAME_MAX_BYTES);
        let (Some(content_bytes), Some(name_bytes)) = (content_bytes, name_bytes) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut name = Vec::new();
        self.take(name_bytes.into(), &mut name)?;
        self.pass(padding_bytes(HEADER_BYTES + u64::from(name_bytes)))?;
        let name = name.strip_suffix(&[0]).unwrap_or(&name);
        note(name, self.contents);
        self.pass(u64::from(content_bytes) + padding_bytes(content_bytes.into()))?;
        Ok(name != TRAILER)
    }

    /// Reads exactly so many bytes, which are few.
    fn take(&mut self, length_bytes: u64, into: &mut Vec<u8>) -> io::Result<()> {
        spend(self.left_bytes, length_bytes)?;
        let got = self.reader.by_ref().take(length_bytes).read_to_end(into)?;
        if got as u64 == length_bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Passes over so many bytes.
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

/// The number at this place of a header.
fn number(header: &[u8], at: usize) -> Option<u32> {
    let digits = header.get(at..at + NUMBER_BYTES)?;
    // `from_str_radix` takes a sign, too.
    let digits =
        str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(digits, 16).ok()
}

fn padding_bytes(length_bytes: u64) -> u64 {
    length_bytes.next_multiple_of(ALIGNMENT_BYTES) - length_bytes
}
