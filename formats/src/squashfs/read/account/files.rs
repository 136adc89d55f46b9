//! Content: blocks and fragments. Blocks are not unpacked here, which whoever verifies the image
//! has files do; fragments are, as their ends are nowhere written.

use super::super::Reader;
use super::super::content::{Pieces, Source};
use super::super::inode::{Body, Inode};
use super::super::unpack::Stored;
use super::{Found, Show, Tape, problem};
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
        let (mut sparse_bytes, mut index) = (0, 0_u64);
        while let Some(piece) = pieces.next(self)? {
            match piece.source {
                Source::Hole => sparse_bytes += u64::from(piece.length),
                Source::Fragment(..) => {}
                Source::Block(block) => {
                    self.tell_block(block, format!("block {index} of inode {number}"), account)?;
                }
            }
            index += 1;
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
        let mut tape = Tape::new(self, account, table.blocks, is_raw);
        let mut index = 0_u64;
        let outcome = (|| {
            while index < table.records && tape.has_more()? {
                tape.begin(format!("fragment entry {index}"))?;
                let start = tape.number("start_block", 8, Show::Number)?;
                let size = tape.number("size", 4, Show::Size)?;
                if tape.number("unused", 4, Show::Number)? != 0 {
                    tape.problem(format!("what is unused of fragment {index} is not zero"))?;
                }
                tape.end()?;
                let is_same = |tail: &Tail| u64::from(tail.fragment) == index;
                let count = tails.iter().take_while(|tail| is_same(tail)).count();
                let (here, behind) = tails.split_at(count);
                tails = behind;
                let position = tape.position();
                let size = u32::try_from(size).unwrap_or(u32::MAX);
                let told = self.tell_fragment(index, start, size, here, tape.account);
                super::goes_on_at(told, position, tape.account)?;
                index += 1;
            }
            Ok(())
        })();
        let finished = match outcome {
            Ok(()) => tape.finish(),
            Err(error) => Err(error),
        };
        super::goes_on(finished, table.blocks, account)?;
        self.tell_list(&table, account)
    }

    fn tell_fragment(
        &self,
        index: u64,
        start: u64,
        size: u32,
        tails: &[Tail],
        account: &mut dyn Account,
    ) -> Result<()> {
        let block = self.stored_block(start, size)?;
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
