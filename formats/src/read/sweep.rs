//! One pass over the bytes of an image: all are read once, in their order.

use super::regions::Problems;
use super::verify::Packed;
use super::{Reader, RegionKind, Storage};
use crate::content::Buffer;
use crate::error::{Error, ErrorKind, Result, unreadable};

/// What is read at once.
const PIECE_BYTES: u64 = 1 << 20;

/// A stretch of the image that belongs to something; none overlaps another.
pub(super) struct Stretch {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) kind: RegionKind,
}

/// Reads an image from its start to its end: what is padding or belongs to nothing has to be
/// zero, where `is_whole` says that all stretches are known; what is packed is unpacked by the
/// reader, and all else at least read. Returns how many bytes have to be zero.
pub(super) fn sweep(
    reader: &dyn Reader,
    storage: &dyn Storage,
    size_bytes: u64,
    stretches: &[Stretch],
    packed: Vec<Packed>,
    is_whole: bool,
    problems: &mut Problems,
) -> Result<u64> {
    let mut sweep =
        Sweep { storage, size_bytes, at: 0, piece: Buffer::default(), piece_start: 0, problems };
    let mut packed = packed.into_iter().peekable();
    let (mut end, mut zero_bytes) = (0, 0);
    for stretch in stretches {
        if is_whole {
            sweep.zeros(end, stretch.start, "bytes that belong to nothing are not zero")?;
            zero_bytes += stretch.start - end;
        }
        // The reader takes what is packed from the storage itself.
        let mut unpacked = false;
        while let Some(piece) = packed.next_if(|piece| piece.image_offset_bytes < stretch.end) {
            unpacked = piece.image_offset_bytes == stretch.start
                && piece.stored_bytes == stretch.end - stretch.start;
            unpack(reader, &piece, sweep.problems)?;
        }
        match stretch.kind {
            RegionKind::Padding => {
                sweep.zeros(stretch.start, stretch.end, "padding that is not zero")?;
                zero_bytes += stretch.end - stretch.start;
            }
            RegionKind::Content if unpacked => {}
            RegionKind::Content | RegionKind::Record => sweep.read(stretch.start, stretch.end)?,
        }
        end = stretch.end;
    }
    packed.try_for_each(|piece| unpack(reader, &piece, sweep.problems))?;
    if is_whole {
        sweep.zeros(end, size_bytes, "bytes that belong to nothing are not zero")?;
        zero_bytes += size_bytes.saturating_sub(end);
    }
    Ok(zero_bytes)
}

/// Reads the first byte of what is packed, for which all of it is unpacked.
fn unpack(reader: &dyn Reader, piece: &Packed, problems: &mut Problems) -> Result<()> {
    let mut byte = Buffer::zeroed(1);
    match reader.read_at(piece.file, piece.file_offset_bytes, &mut byte) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            problems.at(piece.image_offset_bytes, error.to_string());
            Ok(())
        }
        Err(error) => Err(error),
    }
}

struct Sweep<'a> {
    storage: &'a dyn Storage,
    size_bytes: u64,
    /// Up to where the storage was read.
    at: u64,
    piece: Buffer,
    piece_start: u64,
    problems: &'a mut Problems,
}

impl Sweep<'_> {
    /// Reads from `start` up to `end`, a piece at a time, unless that was read before.
    fn read(&mut self, start: u64, end: u64) -> Result<()> {
        while self.at < end {
            self.next(self.at.max(start))?;
        }
        Ok(())
    }

    /// Reads the piece that begins at `start`.
    fn next(&mut self, start: u64) -> Result<()> {
        if self.piece.is_empty() {
            let length = PIECE_BYTES.min(self.size_bytes).max(1);
            self.piece = Buffer::zeroed(usize::try_from(length).unwrap_or(1));
        }
        let got = self.storage.read_at(start, &mut self.piece).map_err(unreadable)?;
        if got == 0 {
            let message = format!("the image ended at {start} while it was read");
            return Err(Error::new(ErrorKind::Changed, message));
        }
        self.piece_start = start;
        self.at = start.saturating_add(got as u64);
        Ok(())
    }

    /// Requires zeros from `start` up to `end`.
    fn zeros(&mut self, start: u64, end: u64, otherwise: &str) -> Result<()> {
        let mut from = start;
        while from < end {
            if from >= self.at {
                self.next(from)?;
            }
            let until = end.min(self.at);
            // Less than a piece.
            let place = |at: u64| usize::try_from(at - self.piece_start).unwrap_or(usize::MAX);
            let bytes = self.piece.get(place(from)..place(until)).unwrap_or_default();
            if let Some(first) = first_not_zero(bytes) {
                let (length, first) = (end - start, from.saturating_add(first as u64));
                self.problems.at(first, format!("{otherwise}: {length} bytes from {start} on"));
                return Ok(());
            }
            from = until;
        }
        Ok(())
    }
}

/// The first byte that is not zero.
pub(super) fn first_not_zero(bytes: &[u8]) -> Option<usize> {
    // Many at once, without a branch for each.
    let is_zero = |chunk: &[u8]| chunk.iter().fold(0, |all, byte| all | byte) == 0;
    let chunk = bytes.chunks(256).position(|chunk| !is_zero(chunk))?;
    let start = chunk * 256;
    let rest = bytes.get(start..).unwrap_or_default();
    rest.iter().position(|byte| *byte != 0).map(|at| start + at)
}
