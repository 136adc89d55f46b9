//! Content: blocks and fragments. Blocks are not unpacked here, which whoever verifies the image
//! has files do; fragments are, as their ends are nowhere written.

use super::super::Reader;
use super::super::content::{Pieces, Source};
use super::super::inode::{Body, Inode};
use super::super::unpack::Stored;
use super::{Found, Show, Tape, goes_on_at, problem};
use crate::error::Result;
use crate::read::{Account, Region, RegionKind};
use crate::squashfs::format::{EXTENDED, flags};

/// The end of a file that is in a fragment.
pub(super) struct Tail {
    fragment: u32,
    offset: u32,
    length: u32,
    /// Number of the file's inode.
    inode: u32,
}

/// Blocks of data and of fragments. Files may share one, but two of them overlap nowhere.
#[derive(Default)]
pub(super) struct Blocks {
    /// Places and lengths.
    kept: Vec<(u64, u32)>,
    /// How many were kept when the same ones were last left out.
    known: usize,
    /// There are more of them than there is room without overlaps.
    is_crowded: bool,
}

/// A block takes hardly less than this.
const BLOCK_MIN_BYTES: u64 = 8;

impl Blocks {
    fn add(&mut self, block: Stored) {
        if self.is_crowded {
            return;
        }
        self.kept.push((block.position, block.length));
        if self.kept.len() >= self.known * 2 + 4096 {
            self.settle();
            let bytes = self.kept.iter().map(|(_, length)| u64::from(*length)).sum::<u64>();
            let end = self.kept.last().map_or(0, |(start, _)| *start);
            // What is kept of them is no more than a small factor of the image.
            self.is_crowded = bytes > end.saturating_add(1 << 20)
                || self.kept.len() as u64 > end / BLOCK_MIN_BYTES + 4096;
        }
    }

    fn settle(&mut self) {
        self.kept.sort_unstable();
        self.kept.dedup();
        self.known = self.kept.len();
    }

    pub(super) fn tell_overlaps(&mut self, account: &mut dyn Account) -> Result<()> {
        self.settle();
        let mut end = 0;
        for (start, length) in &self.kept {
            if *start < end {
                let message = format!("the block at byte {start} overlaps another one");
                account.problem(problem(*start, message))?;
            }
            end = end.max(start.saturating_add(u64::from(*length)));
        }
        Ok(())
    }
}

impl Reader {
    /// Tells the blocks of a file and notes the end that is in a fragment.
    pub(super) fn tell_content(
        &self,
        inode: &Inode,
        position: u64,
        found: &mut Found,
        account: &mut dyn Account,
    ) -> Result<()> {
        let Body::File(body) = inode.body else { return Ok(()) };
        let number = inode.header.number.get();
        let block_bytes = u64::from(self.superblock.block_bytes.get());
        if let Some(fragment) = body.fragment {
            let length = body.size % block_bytes;
            if length == 0 {
                let message = format!("inode {number} has a fragment, but nothing to be in it");
                account.problem(problem(position, message))?;
            }
            found.tails.push(Tail {
                fragment: fragment.index,
                offset: fragment.offset,
                length: u32::try_from(length).unwrap_or(u32::MAX),
                inode: number,
            });
        }
        let mut pieces = Pieces::new(inode)?;
        let (mut sparse_bytes, mut offset) = (0, 0);
        while let Some(piece) = pieces.next(self)? {
            match piece.source {
                Source::Hole => sparse_bytes += piece.length,
                Source::Fragment(..) => {}
                Source::Block(block) => {
                    let title = format!("block {} of inode {number}", offset / block_bytes);
                    self.tell_block(block, title, account)?;
                    found.blocks.add(block);
                }
            }
            offset += piece.length;
        }
        // mksquashfs counts a byte less where a file is nothing but holes.
        let is_all = sparse_bytes == body.size && body.sparse_bytes == body.size.saturating_sub(1);
        let is_extended = inode.header.inode_type.get() > EXTENDED;
        if is_extended && body.sparse_bytes != sparse_bytes && !is_all {
            let stored = body.sparse_bytes;
            let message = format!(
                "inode {number} says that {stored} bytes are in holes, they are {sparse_bytes}"
            );
            account.problem(problem(position, message))?;
        }
        Ok(())
    }

    fn tell_block(&self, block: Stored, title: String, account: &mut dyn Account) -> Result<()> {
        account.region(Region {
            offset_bytes: block.position,
            length_bytes: block.length.into(),
            kind: RegionKind::Content,
            title,
            fields: Vec::new(),
            notes: Vec::new(),
        })?;
        if !block.is_raw && self.has_flag(flags::RAW_DATA) {
            let message = "the block is packed, expected none by the flags";
            account.problem(problem(block.position, message))?;
        }
        Ok(())
    }

    pub(super) fn tell_fragments(
        &self,
        found: &mut Found,
        account: &mut dyn Account,
    ) -> Result<()> {
        let Some(table) = self.layout.fragments else { return Ok(()) };
        found.tails.sort_by_key(|tail| (tail.fragment, tail.offset, tail.length, tail.inode));
        let mut tails = found.tails.as_slice();
        let is_raw = self.has_flag(flags::RAW_FRAGMENTS) && self.has_flag(flags::RAW_INODES);
        let blocks = &mut found.blocks;
        let each = |tape: &mut Tape<'_>, index: u64| {
            tape.begin(format!("fragment entry {index}"))?;
            let start = tape.number("start_block", 8, Show::Number)?;
            let size = tape.number("size", 4, Show::Size)?;
            if tape.number("unused", 4, Show::Number)? != 0 {
                tape.problem(format!("what is unused of fragment {index} is not zero"))?;
            }
            tape.end()?;
            let is_same = |tail: &&Tail| u64::from(tail.fragment) == index;
            let (here, behind) = tails.split_at(tails.iter().take_while(is_same).count());
            tails = behind;
            let position = tape.position();
            let told = self.stored_block(start, u32::try_from(size).unwrap_or(u32::MAX));
            let told = told.and_then(|block| {
                blocks.add(block);
                self.tell_fragment(index, block, here, tape.account)
            });
            goes_on_at(told, position, tape.account)
        };
        self.tell_table(&table, is_raw, each, account)
    }

    fn tell_fragment(
        &self,
        index: u64,
        block: Stored,
        tails: &[Tail],
        account: &mut dyn Account,
    ) -> Result<()> {
        let note = |tail: &Tail| {
            let Tail { offset, length, inode, .. } = tail;
            format!(
                "bytes {offset} to {} of it end inode {inode}",
                u64::from(*offset) + u64::from(*length)
            )
        };
        account.region(Region {
            offset_bytes: block.position,
            length_bytes: block.length.into(),
            kind: RegionKind::Content,
            title: format!("fragment {index}"),
            fields: Vec::new(),
            notes: tails.iter().map(note).collect(),
        })?;
        if !block.is_raw && self.has_flag(flags::RAW_FRAGMENTS) {
            let message = "the fragment is packed, expected none by the flags";
            account.problem(problem(block.position, message))?;
        }
        let length = if block.is_raw {
            u64::from(block.length)
        } else {
            self.unpacked_fragment(block)?.bytes().len() as u64
        };
        if tails.is_empty() {
            let message = format!("no file ends in fragment {index}");
            return account.problem(problem(block.position, message));
        }
        let mut used = 0;
        for tail in tails {
            let (from, to) =
                (u64::from(tail.offset), u64::from(tail.offset) + u64::from(tail.length));
            if to > length {
                let inode = tail.inode;
                let message = format!(
                    "the end of inode {inode} is in bytes {from} to {to} of fragment {index}, which \
                     holds {length}"
                );
                account.problem(problem(block.position, message))?;
            }
            if from > used {
                let message = format!("bytes {used} to {from} of fragment {index} are no file's");
                account.problem(problem(block.position, message))?;
            }
            used = used.max(to);
        }
        if used < length {
            let message = format!("bytes {used} to {length} of fragment {index} are no file's");
            account.problem(problem(block.position, message))?;
        }
        Ok(())
    }
}
