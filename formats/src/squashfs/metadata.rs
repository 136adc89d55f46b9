//! Metadata: streams of records, cut into blocks of 8 KiB that are compressed
//! one by one, each behind a header of two bytes.

use super::format::{METADATA_BYTES, METADATA_RAW};
use crate::compress::Packer;

/// Where a record starts: in which block, by the block's place on disk from the
/// stream's start, and where in it before compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) block: u32,
    pub(super) offset: u16,
}

impl Position {
    /// The form in which tables and the superblock refer to it.
    pub(super) fn reference(self) -> u64 {
        u64::from(self.block) << 16 | u64::from(self.offset)
    }
}

/// A stream of records in memory. Its blocks are compressed as they fill up, so
/// that the place of the next record is always known.
#[derive(Default)]
pub(super) struct Stream {
    /// Complete blocks as they are stored. Each is apart: together they may be long, and what
    /// grows is copied again and again.
    stored: Vec<Vec<u8>>,
    stored_bytes: usize,
    open: Vec<u8>,
}

impl Stream {
    /// Where the next record starts. The plan keeps every stream below 4 GiB.
    pub(super) fn position(&self) -> Position {
        Position {
            block: u32::try_from(self.stored_bytes).unwrap_or(u32::MAX),
            offset: u16::try_from(self.open.len()).unwrap_or(u16::MAX),
        }
    }

    /// Appends a record, which may span blocks.
    pub(super) fn append(&mut self, mut record: &[u8], packer: &mut Packer) {
        while !record.is_empty() {
            let room = METADATA_BYTES - self.open.len();
            let (now, later) = record.split_at(room.min(record.len()));
            self.open.extend_from_slice(now);
            record = later;
            if self.open.len() == METADATA_BYTES {
                self.store(packer);
            }
        }
    }

    /// The blocks of the stream as they are stored.
    pub(super) fn finish(mut self, packer: &mut Packer) -> Vec<Vec<u8>> {
        if !self.open.is_empty() {
            self.store(packer);
        }
        self.stored
    }

    fn store(&mut self, packer: &mut Packer) {
        let block = stored_block(&self.open, packer);
        self.stored_bytes += block.len();
        self.stored.push(block);
        self.open.clear();
    }
}

/// The blocks of a lookup table: `records`, which come in pieces that fill a block but for the
/// last one, as they are stored. What follows them is the [list](block_list) of their places.
pub(super) fn lookup_blocks<R: AsRef<[u8]>>(
    records: impl Iterator<Item = R>,
    packer: &mut Packer,
) -> Vec<Vec<u8>> {
    records.map(|records| stored_block(records.as_ref(), packer)).collect()
}

/// The places in the image of blocks of which the first stands at `start`, and where the last
/// one ends.
pub(super) fn block_list(blocks: &[Vec<u8>], start: u64) -> (Vec<u8>, u64) {
    let mut list = Vec::new();
    let mut end = start;
    for block in blocks {
        list.extend_from_slice(&end.to_le_bytes());
        end += block.len() as u64;
    }
    (list, end)
}

/// One block, at most 8 KiB and not empty, behind its header.
pub(super) fn stored_block(block: &[u8], packer: &mut Packer) -> Vec<u8> {
    let stored = packer.pack(block);
    let length = u16::try_from(stored.bytes.len()).unwrap_or_default();
    let header = if stored.is_raw { length | METADATA_RAW } else { length };
    [&header.to_le_bytes(), stored.bytes].concat()
}
