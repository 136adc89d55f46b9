//! The writer of volumes: encrypts an image on its way to a sink.

use std::fs::File;
use std::io::{self, Write};

use super::format::SECTOR_BYTES;
use super::plan::Plan;
use crate::content::{Buffer, Sink, read_full};
use crate::error::{Error, ErrorKind, Result};

/// The first size of the buffer: most images of secrets fit into it.
const SMALL_BUFFER_BYTES: usize = 32 << 10;
/// The largest size of the buffer, which is how much a sink usually writes at once.
const LARGE_BUFFER_BYTES: usize = 256 << 10;
/// How much of the payload's start can be rewritten, as its plaintext is kept.
const START_BYTES: usize = 4096;

/// A sink that encrypts the payload and passes it on. Bytes are held back until they fill a buffer,
/// so [`finish`](Self::finish) has to be called last.
pub struct Writer<'p, 's> {
    sink: &'s mut dyn Sink,
    plan: &'p Plan<'p>,
    /// Whether the sink has what comes before the payload.
    has_begun: bool,
    /// Plaintext that is not passed on yet; wiped when dropped.
    buffer: Buffer,
    filled: usize,
    /// How many bytes of the payload the sink has.
    spilled_bytes: u64,
    /// The payload's start, as far as it is written.
    start: Buffer,
    /// Set after an error: from then on nobody knows what the sink holds.
    failed: bool,
}

impl<'p, 's> Writer<'p, 's> {
    pub(super) fn new(plan: &'p Plan<'p>, sink: &'s mut dyn Sink) -> Self {
        Self {
            sink,
            plan,
            has_begun: false,
            buffer: Buffer::zeroed(SMALL_BUFFER_BYTES),
            filled: 0,
            spilled_bytes: 0,
            start: Buffer::zeroed(START_BYTES),
            failed: false,
        }
    }

    /// Passes on the rest, and returns the size of the payload in bytes. A payload that is no whole
    /// number of sectors is [`ErrorKind::Unrepresentable`].
    pub fn finish(mut self) -> Result<u64> {
        self.spill()?;
        if self.filled > 0 {
            let message = format!(
                "expected whole sectors of {} bytes, got {} bytes",
                self.plan.sector_bytes,
                self.written_bytes()
            );
            return Err(Error::new(ErrorKind::Unrepresentable, message));
        }
        Ok(self.written_bytes())
    }

    fn written_bytes(&self) -> u64 {
        self.spilled_bytes + self.filled as u64
    }

    /// Passes on all whole sectors of the buffer. The header goes first.
    fn spill(&mut self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let Plan { volume_key, sector_bytes, payload_offset_bytes, head } = self.plan;
        let whole = self.filled - self.filled % sector_bytes;
        let sectors = self.buffer.get_mut(..whole).unwrap_or_default();
        volume_key.encrypt(self.spilled_bytes / SECTOR_BYTES, *sector_bytes, sectors);
        self.failed = true;
        if !self.has_begun {
            self.sink.write_all(head)?;
            self.sink.write_zeros(payload_offset_bytes - head.len() as u64)?;
            self.has_begun = true;
        }
        self.sink.write_all(sectors)?;
        self.failed = false;
        self.spilled_bytes += whole as u64;
        self.buffer.copy_within(whole..self.filled, 0);
        self.filled -= whole;
        Ok(())
    }

    /// The free end of the buffer, never empty. A full buffer is passed on, and one of
    /// twice its size takes its place, up to the largest: what is never filled has to be
    /// wiped all the same.
    fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.filled == self.buffer.len() {
            self.spill()?;
            if self.buffer.len() < LARGE_BUFFER_BYTES {
                self.buffer = Buffer::zeroed(2 * self.buffer.len());
            }
        }
        Ok(self.buffer.get_mut(self.filled..).unwrap_or_default())
    }

    /// Notes that the first `length` bytes of [`room`](Self::room) were filled.
    fn advance(&mut self, length: usize) {
        let written = usize::try_from(self.written_bytes()).unwrap_or(usize::MAX);
        let new = self.buffer.get(self.filled..).unwrap_or_default();
        let start = self.start.get_mut(written..).unwrap_or_default();
        for (to, from) in start.iter_mut().zip(new.iter().take(length)) {
            *to = *from;
        }
        self.filled += length;
    }
}

impl Write for Writer<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room()?;
        let taken = bytes.len().min(room.len());
        let (piece, _) = bytes.split_at(taken);
        let (free, _) = room.split_at_mut(taken);
        free.copy_from_slice(piece);
        self.advance(taken);
        Ok(taken)
    }

    /// A sector that is not complete stays in the buffer.
    fn flush(&mut self) -> io::Result<()> {
        self.spill()?;
        self.sink.flush()
    }
}

/// Zeros are encrypted like all other bytes: a hole would not read as zeros, and would tell where
/// they are.
impl Sink for Writer<'_, '_> {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        let mut left = length_bytes;
        while left > 0 {
            let room = self.room()?;
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
            let (window, _) = room.split_at_mut(want);
            let got = read_full(file, window)?;
            self.advance(got);
            left -= got as u64;
            if got < want {
                break;
            }
        }
        Ok(length_bytes - left)
    }

    /// Rewrites only within the first 4096 bytes of the payload: a sector is encrypted again as a
    /// whole, so its plaintext must be known.
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.has_begun && self.filled == 0 && bytes.is_empty() {
            // An empty rewrite only asks whether rewriting is possible; that is asked before the
            // first byte.
            return self.sink.rewrite(0, bytes);
        }
        self.spill()?;
        let offset = self.written_bytes().checked_sub(back_bytes);
        let offset = usize::try_from(offset.ok_or(io::ErrorKind::InvalidInput)?);
        let offset = offset.unwrap_or(usize::MAX);
        let end = offset.saturating_add(bytes.len());
        if end as u64 > self.written_bytes() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let place = self.start.get_mut(offset..end).ok_or(io::ErrorKind::InvalidInput)?;
        place.copy_from_slice(bytes);
        // What is still in the buffer may be part of the start.
        let spilled = usize::try_from(self.spilled_bytes).unwrap_or(usize::MAX);
        let waiting = self.start.get(spilled..).unwrap_or_default();
        for (to, from) in self.buffer.iter_mut().take(self.filled).zip(waiting) {
            *to = *from;
        }
        let Plan { volume_key, sector_bytes, .. } = self.plan;
        let first = offset - offset % sector_bytes;
        let last = end.next_multiple_of(*sector_bytes).min(spilled).max(first);
        let mut sectors = Buffer::zeroed(last - first);
        sectors.copy_from_slice(self.start.get(first..last).unwrap_or_default());
        volume_key.encrypt(first as u64 / SECTOR_BYTES, *sector_bytes, &mut sectors);
        self.sink.rewrite(self.spilled_bytes.saturating_sub(first as u64), &sectors)
    }
}
