//! The packed file that a decoder reads: how much of it may unpack to nothing, and how many
//! zeros may follow it, is limited.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// Most bytes of zeros behind packed data: tapes and images of firmware fill their
/// last block with them.
pub(super) const PADDING_MAX_BYTES: u64 = 256 << 20;
/// Most bytes of packed data that unpack to nothing.
const EMPTY_MAX_BYTES: u64 = 1 << 20;
/// How many bytes more may be packed data for each byte that it unpacks to: the headers of
/// small parts are larger than the parts.
const BYTES_PER_BYTE: u64 = 4;

/// A packed file, which the next decoder reads on from where the last one stopped. Too much
/// data that unpacks to nothing is an [`io::ErrorKind::QuotaExceeded`]: millions of empty
/// parts would take minutes.
#[derive(Default)]
pub(super) struct Input {
    /// None once another decoder has it.
    file: Option<BufReader<File>>,
    left_bytes: u64,
    padding_left_bytes: u64,
}

impl Input {
    pub(super) fn new(file: BufReader<File>) -> Self {
        let (left_bytes, padding_left_bytes) = (EMPTY_MAX_BYTES, PADDING_MAX_BYTES);
        Self { file: Some(file), left_bytes, padding_left_bytes }
    }

    /// Notes that what was read has unpacked to `unpacked` bytes.
    pub(super) fn credit(&mut self, unpacked: usize) {
        let worth = (unpacked as u64).saturating_mul(BYTES_PER_BYTE);
        self.left_bytes = self.left_bytes.saturating_add(worth);
    }

    /// Passes over zeros; returns how many there were. Too many are an
    /// [`io::ErrorKind::FileTooLarge`].
    pub(super) fn pass_zeros(&mut self) -> io::Result<u64> {
        // Whole slices are compared: one byte after the other would take seconds.
        const ZEROS: [u8; 4096] = [0; 4096];
        let Some(file) = &mut self.file else { return Ok(0) };
        let mut passed = 0;
        loop {
            let buffer = file.fill_buf()?;
            let slice = buffer.get(..buffer.len().min(ZEROS.len())).unwrap_or_default();
            let zeros = if ZEROS.starts_with(slice) {
                slice.len()
            } else {
                slice.iter().position(|byte| *byte != 0).unwrap_or(0)
            };
            if zeros == 0 {
                return Ok(passed);
            }
            file.consume(zeros);
            passed += zeros as u64;
            let left = self.padding_left_bytes.checked_sub(zeros as u64);
            self.padding_left_bytes = left.ok_or(io::ErrorKind::FileTooLarge)?;
        }
    }

    /// The end of what is read; anything that follows is [`io::ErrorKind::InvalidData`].
    pub(super) fn end(&mut self) -> io::Result<usize> {
        if self.fill_buf()?.is_empty() { Ok(0) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let Some(file) = &mut self.file else { return Ok(&[]) };
        let buffer = file.fill_buf()?;
        if self.left_bytes == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        Ok(buffer)
    }

    fn consume(&mut self, bytes: usize) {
        if let Some(file) = &mut self.file {
            file.consume(bytes);
            self.left_bytes = self.left_bytes.saturating_sub(bytes as u64);
        }
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.fill_buf()?.read(into)?;
        self.consume(got);
        Ok(got)
    }
}
