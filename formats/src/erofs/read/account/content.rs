//! Content of files and targets of links: each byte once, whoever shares it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::Reader;
use super::super::inode::{Inode, Layout};
use super::corrupt;
use crate::error::Result;
use crate::read::{Account, NodeKind, Region, RegionKind};

/// Where content is, as the inodes tell.
pub(super) struct Contents {
    stretches: Vec<Stretch>,
    /// What is left of blocks behind the ends of content: start and end.
    rests: Vec<(u64, u64)>,
    size_bytes: u64,
    /// How many addresses of chunks the image has room for, besides those so far.
    addresses_left: u64,
}

/// Content in one piece, in the order of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stretch {
    start_bytes: u64,
    end_bytes: u64,
    nid: u64,
    is_target: bool,
}

impl Contents {
    pub(super) fn new(size_bytes: u64) -> Self {
        let addresses_left = size_bytes / Layout::address_bytes(false);
        Self { stretches: Vec::new(), rests: Vec::new(), size_bytes, addresses_left }
    }

    /// Refuses more addresses of chunks than an image of this size has room for: those of one
    /// inode are those of another only in an image that is made to take memory.
    pub(super) fn admit(&mut self, inode: &Inode, addresses: u64) -> Result<()> {
        let left = self.addresses_left.checked_sub(addresses);
        self.addresses_left = left.ok_or_else(|| {
            let message =
                format!("inode {} has more chunks than the image has room for", inode.nid);
            corrupt(message)
        })?;
        Ok(())
    }

    /// Adds the content of a file, or of a link.
    pub(super) fn add(&mut self, reader: &Reader, inode: &Inode) -> Result<()> {
        let (nid, is_target) = (inode.nid, inode.stat.kind == NodeKind::Symlink);
        let block_bytes = reader.volume.block_bytes();
        inode.extents(reader, &mut |extent| {
            let Some(start_bytes) = extent.image_offset_bytes else { return Ok(()) };
            let end_bytes = start_bytes.saturating_add(extent.length_bytes);
            self.stretches.push(Stretch { start_bytes, end_bytes, nid, is_target });
            let block_end_bytes = end_bytes.next_multiple_of(block_bytes).min(self.size_bytes);
            if block_end_bytes > end_bytes && !inode.is_tail(start_bytes) {
                self.rests.push((end_bytes, block_end_bytes));
            }
            Ok(())
        })
    }

    /// Tells all content in pieces that are whole for all that share them.
    pub(super) fn tell(mut self, account: &mut dyn Account) -> Result<()> {
        self.stretches.sort_unstable();
        let ends = self.stretches.iter().map(|stretch| stretch.end_bytes);
        let starts = self.stretches.iter().map(|stretch| stretch.start_bytes);
        let mut edges: Vec<u64> = starts.chain(ends).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut to_come = self.stretches.iter().peekable();
        // By their ends.
        let mut active: BinaryHeap<Reverse<(u64, u64, bool)>> = BinaryHeap::new();
        for pair in edges.windows(2) {
            let [start_bytes, end_bytes] = *pair else { continue };
            while active.peek().is_some_and(|Reverse((end, ..))| *end <= start_bytes) {
                active.pop();
            }
            while let Some(next) = to_come.next_if(|next| next.start_bytes <= start_bytes) {
                active.push(Reverse((next.end_bytes, next.nid, next.is_target)));
            }
            let Some(Reverse((_, nid, is_target))) = active.peek() else { continue };
            let what = if *is_target { "target" } else { "content" };
            let sharers = active.len();
            let shared = (sharers > 1).then(|| format!("shared by {sharers} inodes"));
            account.region(Region {
                offset_bytes: start_bytes,
                length_bytes: end_bytes - start_bytes,
                kind: RegionKind::Content,
                title: format!("{what} of inode {nid}"),
                fields: Vec::new(),
                notes: shared.into_iter().collect(),
            })?;
        }
        self.rests.sort_unstable();
        self.rests.dedup();
        for (start_bytes, end_bytes) in self.rests {
            account.region(Region {
                offset_bytes: start_bytes,
                length_bytes: end_bytes - start_bytes,
                kind: RegionKind::Padding,
                title: "padding".to_owned(),
                fields: Vec::new(),
                notes: Vec::new(),
            })?;
        }
        Ok(())
    }
}
