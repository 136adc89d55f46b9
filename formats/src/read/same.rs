//! Whether two files hold the same, without keeping either.

use std::fs::File;
use std::io::{self, Write};

use super::diff::Side;
use super::{Reader, Step};
use crate::content::{Buffer, Sink, copy_buffered};
use crate::error::{Error, Result};

/// What is compared at once.
const PIECE_BYTES: usize = 256 << 10;
/// Of zeros in a row that are longer, only those are read that the other file has stored.
const ZEROS_BYTES: u64 = 1 << 20;

/// Whether two files hold the same: the old one is streamed, the new one read beside it. Holes
/// that both have cost nothing, however long they are.
pub(super) fn is_same_content(
    old: &dyn Reader,
    new: &dyn Reader,
    old_file: &Step,
    new_file: &Step,
) -> Result<bool, (Side, Error)> {
    if old_file.stat.size_bytes != new_file.stat.size_bytes {
        return Ok(false);
    }
    let length = usize::try_from(old_file.stat.size_bytes).unwrap_or(PIECE_BYTES);
    let mut beside = Beside {
        reader: new,
        file: new_file,
        position: 0,
        buffer: Buffer::zeroed(length.min(PIECE_BYTES)),
        stored: None,
        outcome: Ok(true),
    };
    let streamed = old.stream(old_file.inode, &mut beside);
    let is_same = beside.outcome.map_err(|error| (Side::New, error))?;
    if is_same {
        streamed.map_err(|error| (Side::Old, error))?;
    }
    Ok(is_same && beside.position == old_file.stat.size_bytes)
}

/// Compares what it takes with what another file holds, and refuses more after a difference.
struct Beside<'a> {
    reader: &'a dyn Reader,
    file: &'a Step,
    position: u64,
    buffer: Buffer,
    /// The stretches of the other file that are no holes: where they begin and end.
    stored: Option<Vec<(u64, u64)>>,
    outcome: Result<bool>,
}

impl Beside<'_> {
    /// Compares the next bytes with `expected`, or with zeros where there is none.
    fn compare(&mut self, length: usize, expected: Option<&[u8]>) -> io::Result<()> {
        let window = self.buffer.get_mut(..length).unwrap_or_default();
        let got = self.reader.read_at(self.file.inode, self.position, window);
        self.outcome = got.map(|got| {
            let window = window.get(..got).unwrap_or_default();
            got == length
                && match expected {
                    Some(expected) => window == expected,
                    None => window.iter().all(|byte| *byte == 0),
                }
        });
        self.position += length as u64;
        if matches!(self.outcome, Ok(true)) { Ok(()) } else { Err(differs()) }
    }

    /// Compares what the other file has stored up to `end` with zeros.
    fn skip_holes(&mut self, end: u64) -> io::Result<()> {
        if self.stored.is_none() {
            let mut stored = Vec::new();
            let listed = self.reader.extents(self.file.inode, &mut |extent| {
                if extent.image_offset_bytes.is_some() {
                    let start = extent.file_offset_bytes;
                    stored.push((start, start.saturating_add(extent.length_bytes)));
                }
                Ok(())
            });
            if let Err(error) = listed {
                self.outcome = Err(error);
                return Err(differs());
            }
            self.stored = Some(stored);
        }
        let stored = self.stored.take().unwrap_or_default();
        let first = stored.partition_point(|(_, stored_end)| *stored_end <= self.position);
        let rest = stored.get(first..).unwrap_or_default();
        for (start, stored_end) in rest.iter().take_while(|(start, _)| *start < end) {
            self.position = self.position.max(*start);
            self.zeros((*stored_end).min(end))?;
        }
        self.position = end;
        self.stored = Some(stored);
        Ok(())
    }

    fn zeros(&mut self, end: u64) -> io::Result<()> {
        while self.position < end {
            let left = usize::try_from(end - self.position).unwrap_or(PIECE_BYTES);
            self.compare(left.min(self.buffer.len()).max(1), None)?;
        }
        Ok(())
    }
}

impl Write for Beside<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.buffer.len());
        if length == 0 && !bytes.is_empty() {
            // More than there is.
            self.outcome = Ok(false);
            return Err(differs());
        }
        self.compare(length, Some(bytes.get(..length).unwrap_or_default()))?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Beside<'_> {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        copy_buffered(file, self, length_bytes)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        let end = self.position.saturating_add(length_bytes).min(self.file.stat.size_bytes);
        if length_bytes > ZEROS_BYTES { self.skip_holes(end) } else { self.zeros(end) }
    }
}

fn differs() -> io::Error {
    io::Error::other("the files differ")
}
