//! Directories: blocks of entries with their names behind them (`erofs_readdir` and
//! `erofs_namei` of Linux). What Linux would skip is refused.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use zerocopy::FromBytes;

use super::inode::Inode;
use super::{Reader, corrupt};
use crate::content::Buffer;
use crate::erofs::format::DirectoryEntry;
use crate::error::{Error, Result};
use crate::read::{Entry, InodeRef};
use crate::tree::{NAME_MAX_BYTES, Name};

pub(super) const ENTRY_BYTES: usize = size_of::<DirectoryEntry>();
/// What an entry counts as work, besides the bytes of its block: whoever gets it does some.
const ENTRY_WORK_BYTES: u64 = 64;

/// Gives all entries but `.` and `..`.
pub(super) fn entries(
    reader: &Reader,
    inode: &Inode,
    each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    for number in 0..blocks(reader, inode) {
        let block = Block::read(reader, inode, number)?;
        for index in 0..block.count {
            let (record, name) = block.entry(index)?;
            reader.metadata.charge(ENTRY_WORK_BYTES)?;
            if is_dot(name) {
                continue;
            }
            block.check_name(name, index)?;
            if each(Entry { name, inode: InodeRef(record.nid.get()) })?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Finds a name: the last block whose first name is not behind it is looked for, then the name
/// in that block.
pub(super) fn lookup(reader: &Reader, inode: &Inode, name: &[u8]) -> Result<Option<InodeRef>> {
    if Name::fault(name).is_some() {
        return Ok(None);
    }
    let (mut low, mut high) = (0, blocks(reader, inode));
    let mut found: Option<Block> = None;
    while low < high {
        let middle = low.midpoint(high);
        let block = Block::read(reader, inode, middle)?;
        let (record, first) = block.entry(0)?;
        match first.cmp(name) {
            Ordering::Equal => return Ok(Some(InodeRef(record.nid.get()))),
            Ordering::Less => {
                low = middle + 1;
                found = Some(block);
            }
            Ordering::Greater => high = middle,
        }
    }
    let Some(block) = found else { return Ok(None) };
    let (mut low, mut high) = (0, block.count);
    while low < high {
        let middle = low.midpoint(high);
        let (record, here) = block.entry(middle)?;
        match here.cmp(name) {
            Ordering::Equal => return Ok(Some(InodeRef(record.nid.get()))),
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
        }
    }
    Ok(None)
}

/// How many blocks a directory has.
pub(super) fn blocks(reader: &Reader, inode: &Inode) -> u64 {
    inode.stat.size_bytes.div_ceil(reader.volume.block_bytes())
}

/// A block of a directory.
pub(super) struct Block {
    bytes: Buffer,
    /// How many entries it has: at least one.
    pub(super) count: usize,
    nid: u64,
    number: u64,
}

impl Block {
    pub(super) fn read(reader: &Reader, inode: &Inode, number: u64) -> Result<Self> {
        let block_bytes = reader.volume.block_bytes();
        let start_bytes = number * block_bytes;
        let length_bytes = inode.stat.size_bytes.saturating_sub(start_bytes).min(block_bytes);
        let mut bytes = Buffer::zeroed(usize::try_from(length_bytes).unwrap_or(0));
        inode.read_metadata(reader, start_bytes, &mut bytes)?;
        let mut block = Self { bytes, count: 0, nid: inode.nid, number };
        let Some(first) = block.record(0) else {
            return Err(block.fault(0, "cut off"));
        };
        let names_start = usize::from(first.name_offset.get());
        let is_whole = names_start >= ENTRY_BYTES
            && names_start.is_multiple_of(ENTRY_BYTES)
            && names_start < block.bytes.len();
        if !is_whole {
            let what = format!("names from byte {names_start} of {} on", block.bytes.len());
            return Err(block.fault(0, &what));
        }
        block.count = names_start / ENTRY_BYTES;
        Ok(block)
    }

    /// The bytes of the block, as far as the directory goes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Entry `index` and its name: at least a byte and at most 255.
    pub(super) fn entry(&self, index: usize) -> Result<(DirectoryEntry, &[u8])> {
        let record = self.record(index).ok_or_else(|| self.fault(index, "cut off"))?;
        let start = usize::from(record.name_offset.get());
        let name = if index + 1 < self.count {
            let next = self.record(index + 1).ok_or_else(|| self.fault(index, "cut off"))?;
            self.bytes.get(start..usize::from(next.name_offset.get()))
        } else {
            // The last one ends with its block or before a NUL.
            self.bytes.get(start..).and_then(|rest| rest.split(|byte| *byte == 0).next())
        };
        let name = name.filter(|_| start >= self.count * ENTRY_BYTES);
        match name {
            Some(name) if (1..=NAME_MAX_BYTES).contains(&name.len()) => Ok((record, name)),
            Some(name) => {
                let what = format!("a name of {} bytes: expected 1 to 255", name.len());
                Err(self.fault(index, &what))
            }
            None => {
                Err(self.fault(index, &format!("a name from byte {start} on that ends nowhere")))
            }
        }
    }

    /// Refuses what no name holds.
    pub(super) fn check_name(&self, name: &[u8], index: usize) -> Result<()> {
        Name::fault(name).map_or(Ok(()), |fault| Err(self.fault(index, &fault)))
    }

    fn record(&self, index: usize) -> Option<DirectoryEntry> {
        let rest = self.bytes.get(index.checked_mul(ENTRY_BYTES)?..)?;
        DirectoryEntry::read_from_prefix(rest).ok().map(|(record, _)| record)
    }

    fn fault(&self, index: usize, what: &str) -> Error {
        let Self { nid, number, .. } = self;
        corrupt(format!("directory of inode {nid}, block {number}, entry {index}: {what}"))
    }
}

pub(super) fn is_dot(name: &[u8]) -> bool {
    name == b"." || name == b".."
}
