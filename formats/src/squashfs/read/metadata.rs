//! Reads records of a table through its metadata blocks, which they may span.

use std::sync::Arc;

use zerocopy::{FromBytes, IntoBytes};

use super::cache::Unpacked;
use super::{Reader, corrupt};
use crate::error::Result;
use crate::squashfs::format::METADATA_BYTES;

/// A stretch of an image in which nothing but metadata blocks of one table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    /// For messages, in the plural.
    pub(super) name: &'static str,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Area {
    /// Most bytes that its blocks hold, unpacked: a block takes a header and a byte at least.
    pub(super) fn unpacked_max_bytes(&self) -> u64 {
        (self.end.saturating_sub(self.start) / 3).saturating_mul(METADATA_BYTES as u64)
    }
}

/// A table of records of one length: its blocks, and the list of their places behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) blocks: Area,
    pub(super) list: u64,
    pub(super) records: u64,
    pub(super) record_bytes: u64,
}

impl Table {
    /// How many metadata blocks it has.
    pub(super) fn block_count(&self) -> u64 {
        self.records.saturating_mul(self.record_bytes).div_ceil(METADATA_BYTES as u64)
    }

    /// Length of the list of places.
    pub(super) fn list_bytes(&self) -> u64 {
        self.block_count().saturating_mul(8)
    }
}

/// A place in a table's metadata.
#[derive(Clone)]
pub(super) struct Cursor {
    area: Area,
    /// Where the block is, or will be once it is read.
    position: u64,
    offset: usize,
    block: Option<Arc<Unpacked>>,
}

impl Cursor {
    /// At `offset` of the block at byte `position` of the image.
    pub(super) fn at(area: Area, position: u64, offset: usize) -> Self {
        Self { area, position, offset, block: None }
    }

    /// At a reference: the block's place from the area's start << 16 | the offset in it.
    pub(super) fn of(area: Area, reference: u64) -> Self {
        let position = area.start.saturating_add(reference >> 16);
        Self::at(area, position, usize::from(low_16(reference)))
    }

    /// Fills all of `buffer`.
    pub(super) fn read(&mut self, image: &Reader, mut buffer: &mut [u8]) -> Result<()> {
        // Most records are within a block.
        if let Some(block) = &self.block
            && let Some(end) = self.offset.checked_add(buffer.len())
            && let Some(bytes) = block.bytes().get(self.offset..end)
        {
            buffer.copy_from_slice(bytes);
            self.offset = end;
            return Ok(());
        }
        while !buffer.is_empty() {
            let block = self.block(image)?;
            let rest = block.bytes().get(self.offset..).unwrap_or_default();
            let length = rest.len().min(buffer.len());
            let (now, later) = buffer.split_at_mut(length);
            now.copy_from_slice(rest.split_at(length).0);
            self.offset += length;
            buffer = later;
        }
        Ok(())
    }

    /// Reads one record.
    pub(super) fn record<T: FromBytes + IntoBytes>(&mut self, image: &Reader) -> Result<T> {
        let mut record = T::new_zeroed();
        self.read(image, record.as_mut_bytes())?;
        Ok(record)
    }

    /// Goes on by so many bytes.
    pub(super) fn skip(&mut self, image: &Reader, mut length: u64) -> Result<()> {
        while length > 0 {
            let block = self.block(image)?;
            let rest = (block.bytes().len() - self.offset.min(block.bytes().len())) as u64;
            let step = rest.min(length);
            self.offset += usize::try_from(step).unwrap_or_default();
            length -= step;
        }
        Ok(())
    }

    /// The block in which something is left.
    fn block(&mut self, image: &Reader) -> Result<Arc<Unpacked>> {
        if let Some(block) = &self.block {
            if self.offset < block.bytes().len() {
                return Ok(Arc::clone(block));
            }
            self.position = block.end;
            self.offset = 0;
        }
        let block = image.metadata_block(self.area, self.position)?;
        // Linux takes no offset behind the end for the next block either
        // (`squashfs_read_metadata`).
        if self.offset >= block.bytes().len() {
            let (offset, length, position) = (self.offset, block.bytes().len(), self.position);
            return Err(corrupt(format!(
                "a reference leads to offset {offset} of the metadata block at byte {position}, \
                 which holds {length} bytes"
            )));
        }
        self.block = Some(Arc::clone(&block));
        Ok(block)
    }
}

impl Reader {
    /// Record `index` of `table`, which has it.
    pub(super) fn table_record<T: FromBytes + IntoBytes>(
        &self,
        table: &Table,
        index: u64,
    ) -> Result<T> {
        let at = index.saturating_mul(table.record_bytes);
        let block_bytes = METADATA_BYTES as u64;
        let position = self.listed(table, at / block_bytes)?;
        let offset = usize::try_from(at % block_bytes).unwrap_or_default();
        Cursor::at(table.blocks, position, offset).record(self)
    }

    /// Where block `index` of a table is.
    pub(super) fn listed(&self, table: &Table, index: u64) -> Result<u64> {
        let mut place = [0; 8];
        self.storage
            .read_exact_at(table.list.saturating_add(index.saturating_mul(8)), &mut place)?;
        Ok(u64::from_le_bytes(place))
    }
}

fn low_16(reference: u64) -> u16 {
    u16::try_from(reference & 0xffff).unwrap_or_default()
}
