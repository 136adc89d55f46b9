//! Content that is mostly zeros: told from other content, and digested without going through it.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use crate::content::{Sink, Wiped};

/// Zeros are looked for in pieces of this length.
const PIECE_BYTES: usize = 4096;

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // In pieces, so that the loop over each has no early exit and is vectorised.
    bytes.chunks(256).all(|piece| piece.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Digests all that streams by. Pieces that are all zero are only counted, so that a hole costs
/// nothing; it makes no difference whether it was told as such or written out.
pub(crate) struct SparseDigest {
    /// Of the other pieces, one behind the other.
    data: Sha256,
    /// Of the place and the number of pieces of each run of zeros.
    runs: Sha256,
    /// What is not yet a whole piece.
    open: Wiped,
    pieces: u64,
    zero_pieces: u64,
}

impl SparseDigest {
    /// `start` is digested as well, before the content.
    pub(crate) fn new(start: Sha256) -> Self {
        Self {
            data: start,
            runs: Sha256::new(),
            open: Wiped::with_capacity(PIECE_BYTES),
            pieces: 0,
            zero_pieces: 0,
        }
    }

    /// The digest. Only content of one length may be compared by it.
    pub(crate) fn finish(mut self) -> [u8; 32] {
        self.end_run();
        self.data.update(self.open.as_slice());
        self.data.chain_update(self.runs.finalize()).finalize().into()
    }

    fn end_run(&mut self) {
        if self.zero_pieces > 0 {
            self.runs.update(self.pieces.to_le_bytes());
            self.runs.update(self.zero_pieces.to_le_bytes());
            self.pieces += self.zero_pieces;
            self.zero_pieces = 0;
        }
    }

    fn take(&mut self, piece: &[u8]) {
        if is_zero(piece) {
            self.zero_pieces += 1;
        } else {
            self.end_run();
            self.data.update(piece);
            self.pieces += 1;
        }
    }

    /// Fills the open piece with so many zeros, or as many as it takes; returns how many.
    fn fill(&mut self, most_bytes: u64) -> u64 {
        let before = self.open.len();
        let room = PIECE_BYTES - before;
        let length = usize::try_from(most_bytes).unwrap_or(room).min(room);
        self.open.resize(before + length, 0);
        self.close();
        length as u64
    }

    /// Ends the open piece if it is whole.
    fn close(&mut self) {
        if self.open.len() == PIECE_BYTES {
            let mut open = std::mem::take(&mut self.open);
            self.take(&open);
            open.clear();
            self.open = open;
        }
    }
}

impl Write for SparseDigest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.open.is_empty() && bytes.len() >= PIECE_BYTES {
            let (pieces, _) = bytes.as_chunks::<PIECE_BYTES>();
            for piece in pieces {
                self.take(piece);
            }
            return Ok(pieces.len() * PIECE_BYTES);
        }
        let room = PIECE_BYTES - self.open.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.open.extend_from_slice(taken);
        self.close();
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for SparseDigest {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        let mut left = length_bytes;
        if !self.open.is_empty() {
            left -= self.fill(left);
        }
        self.zero_pieces += left / PIECE_BYTES as u64;
        self.fill(left % PIECE_BYTES as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    /// Bytes, or a hole of that length.
    enum Part<'b> {
        Bytes(&'b [u8]),
        Hole(u64),
    }

    fn digest(parts: &[Part<'_>]) -> [u8; 32] {
        let mut digest = SparseDigest::new(Sha256::new());
        for part in parts {
            match part {
                Part::Bytes(bytes) => digest.write_all(bytes).unwrap(),
                Part::Hole(length) => digest.write_zeros(*length).unwrap(),
            }
        }
        digest.finish()
    }

    #[test]
    fn a_hole_is_digested_like_its_zeros_wherever_it_begins() {
        for before in [0, 1, 4095, 4096, 5000] {
            for length in [0, 1, 4095, 4096, 4097, 20_000] {
                for after in [0, 1, 4096, 4097] {
                    let (before, zeros) = (vec![1; before], vec![0; length]);
                    let after = vec![2; after];
                    let hole = Part::Hole(length as u64);
                    let told = digest(&[Part::Bytes(&before), hole, Part::Bytes(&after)]);
                    let whole = [before, zeros, after].concat();
                    assert!(told == digest(&[Part::Bytes(&whole)]), "{length}");
                    let (first, second) = whole.split_at(whole.len() / 3);
                    assert!(told == digest(&[Part::Bytes(first), Part::Bytes(second)]), "{length}");
                }
            }
        }
    }

    #[test]
    fn holes_elsewhere_and_other_content_have_other_digests() {
        let one = [1; 4096];
        let contents: [&[Part<'_>]; 6] = [
            &[Part::Bytes(&one), Part::Hole(8 << 30)],
            &[Part::Hole(8 << 30), Part::Bytes(&one)],
            &[Part::Hole(4 << 30), Part::Bytes(&one), Part::Hole(4 << 30)],
            &[Part::Hole(4096), Part::Bytes(&one), Part::Hole((8 << 30) - 4096)],
            &[Part::Hole((8 << 30) + 4096)],
            &[Part::Hole((8 << 30) + 4095), Part::Bytes(&[1])],
        ];
        let mut digests = contents.map(digest).to_vec();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), contents.len());
    }
}
