//! Directory listings: runs of entries in bytewise order, each behind a header,
//! and an index of the metadata blocks that a long listing spans.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{I16, U16, U32};

use super::format::{
    DirectoryEntry, DirectoryHeader, DirectoryIndex, InodeType, METADATA_BYTES, RUN_ENTRIES_MAX,
};
use super::metadata::{Position, Stream};
use crate::compress::Packer;
use crate::error::{Result, inconsistent};
use crate::tree::{Entries, InodeId, Name};

/// What an entry says of its inode.
pub(super) struct Target {
    pub(super) position: Position,
    pub(super) number: u32,
    pub(super) inode_type: InodeType,
}

/// A listing that is stored.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) position: Position,
    /// Length before compression.
    pub(super) size_bytes: u32,
    pub(super) index: Vec<u8>,
    pub(super) index_count: u16,
}

/// Appends the listing of `entries` to `stream`.
pub(super) fn append(
    entries: &Entries,
    target: impl Fn(InodeId) -> Result<Target>,
    stream: &mut Stream,
    packer: &mut Packer,
) -> Result<Listing> {
    let listing = Listing { position: stream.position(), ..Listing::default() };
    let indexed_block = listing.position.block;
    let mut lister =
        Lister { stream, packer, listing, indexed_block, run: None, entries: Vec::new() };
    for (name, id) in entries {
        lister.entry(name, &target(*id)?)?;
    }
    lister.close_run()?;
    Ok(lister.listing)
}

struct Lister<'s> {
    stream: &'s mut Stream,
    packer: &'s mut Packer,
    listing: Listing,
    /// Block of the listing to which an index record leads, or its first one.
    indexed_block: u32,
    run: Option<Run>,
    /// The entries of the open run.
    entries: Vec<u8>,
}

/// A run of entries whose header is not stored yet, as it counts them.
struct Run {
    inode_block: u32,
    number: u32,
    count: usize,
}

impl Run {
    /// What the entry of `target` says of its number in this run; none where it must start another one.
    fn delta(&self, target: &Target) -> Option<i16> {
        let delta = i64::from(target.number) - i64::from(self.number);
        let fits = target.position.block == self.inode_block && self.count < RUN_ENTRIES_MAX;
        i16::try_from(delta).ok().filter(|_| fits)
    }
}

impl Lister<'_> {
    fn entry(&mut self, name: &Name, target: &Target) -> Result<()> {
        let open = self.run.as_ref().filter(|_| !self.spans_blocks());
        let delta = open.and_then(|run| run.delta(target));
        if delta.is_none() {
            self.close_run()?;
            self.open_run(name, target)?;
        }
        let length = u16::try_from(name.as_bytes().len() - 1).map_err(|_| inconsistent())?;
        let entry = DirectoryEntry {
            offset: U16::new(target.position.offset),
            number_delta: I16::new(delta.unwrap_or_default()),
            inode_type: U16::new(target.inode_type as u16),
            name_length_less_one: U16::new(length),
        };
        self.entries.extend_from_slice(entry.as_bytes());
        self.entries.extend_from_slice(name.as_bytes());
        if let Some(run) = &mut self.run {
            run.count += 1;
        }
        Ok(())
    }

    /// Whether the open run goes into the next metadata block: then another
    /// run starts there, to which an index record can lead.
    fn spans_blocks(&self) -> bool {
        let start = usize::from(self.stream.position().offset);
        start + size_of::<DirectoryHeader>() + self.entries.len() >= METADATA_BYTES
    }

    fn open_run(&mut self, first: &Name, target: &Target) -> Result<()> {
        self.run =
            Some(Run { inode_block: target.position.block, number: target.number, count: 0 });
        let block = self.stream.position().block;
        if block == self.indexed_block || self.listing.index_count == u16::MAX {
            return Ok(());
        }
        let length = u32::try_from(first.as_bytes().len() - 1).map_err(|_| inconsistent())?;
        let record = DirectoryIndex {
            listing_offset: U32::new(self.listing.size_bytes),
            block: U32::new(block),
            name_length_less_one: U32::new(length),
        };
        self.listing.index.extend_from_slice(record.as_bytes());
        self.listing.index.extend_from_slice(first.as_bytes());
        self.listing.index_count += 1;
        self.indexed_block = block;
        Ok(())
    }

    fn close_run(&mut self) -> Result<()> {
        let Some(run) = self.run.take() else { return Ok(()) };
        let header = DirectoryHeader {
            count_less_one: U32::new(u32::try_from(run.count - 1).map_err(|_| inconsistent())?),
            block: U32::new(run.inode_block),
            number: U32::new(run.number),
        };
        self.stream.append(header.as_bytes(), self.packer);
        self.stream.append(&self.entries, self.packer);
        let run_bytes = size_of::<DirectoryHeader>() + self.entries.len();
        let run_bytes = u32::try_from(run_bytes).map_err(|_| inconsistent())?;
        let size_bytes = self.listing.size_bytes.checked_add(run_bytes);
        self.listing.size_bytes = size_bytes.ok_or_else(inconsistent)?;
        self.entries.clear();
        Ok(())
    }
}
