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
    stored: Vec<u8>,
    open: Vec<u8>,
}

impl Stream {
    /// Where the next record starts. The plan keeps every stream below 4 GiB.
    pub(super) fn position(&self) -> Position {
        Position {
            block: u32::try_from(self.stored.len()).unwrap_or(u32::MAX),
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
                append_block(&self.open, &mut self.stored, packer);
                self.open.clear();
            }
        }
    }

    /// The stream as it is stored.
    pub(super) fn finish(mut self, packer: &mut Packer) -> Vec<u8> {
        if !self.open.is_empty() {
            append_block(&self.open, &mut self.stored, packer);
        }
        self.stored
    }
}

/// A lookup table: `records` in metadata blocks, then the list of the blocks'
/// places in the image. `start` is where it will stand. Returns its bytes and
/// where in the image the list starts.
pub(super) fn lookup_table(records: &[u8], start: u64, packer: &mut Packer) -> (Vec<u8>, u64) {
    let mut table = Vec::new();
    let mut list = Vec::new();
    for block in records.chunks(METADATA_BYTES) {
        list.extend_from_slice(&(start + table.len() as u64).to_le_bytes());
        append_block(block, &mut table, packer);
    }
    let list_start = start + table.len() as u64;
    table.append(&mut list);
    (table, list_start)
}

/// Appends one block, at most 8 KiB and not empty, behind its header.
pub(super) fn append_block(block: &[u8], out: &mut Vec<u8>, packer: &mut Packer) {
    let stored = packer.pack(block);
    let length = u16::try_from(stored.bytes.len()).unwrap_or_default();
    let header = if stored.is_raw { length | METADATA_RAW } else { length };
    out.extend_from_slice(&header.to_le_bytes());
    out.extend_from_slice(stored.bytes);
}
