//! The one place that decides where everything goes. [`emit`] runs twice over
//! the same shapes, once into a target that only notes addresses and once into
//! one that writes bytes, so that the two cannot drift apart.
//!
//! The image is written front to back. Block 0 holds the superblock and, where
//! it fits, the root's inode. An inode, with its xattrs and its tail, is packed
//! into one of a few open metadata blocks; such a block is written when it is
//! full, right where the image then ends, between the data of two files. So a
//! file's data streams by once, and only its tail waits in memory. Of several inodes that share
//! their data blocks the first one reserves them.

use std::collections::BTreeMap;

use super::format::{BLOCK_BYTES, SLOT_BYTES, SUPER_OFFSET_BYTES, SuperBlock};
use super::inode::Shape;
use crate::error::{Error, ErrorKind, Result};
use crate::tree::{Inode, InodeId, Order, Tree};

/// How many metadata blocks are open at once: enough that the tails of a
/// thousand files of mixed sizes waste well under a percent.
const OPEN_BLOCKS_MAX: usize = 64;

/// Where inodes start in block 0: right behind the superblock.
const FIRST_OFFSET_BYTES: usize = SUPER_OFFSET_BYTES + size_of::<SuperBlock>();

/// A metadata block, counted in the order of opening, before its address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MetaBlock(pub(super) usize);

impl MetaBlock {
    /// The one that starts with the superblock and becomes block 0.
    pub(super) const FIRST: Self = Self(0);
}

/// What emission acts on: see [`emit`]. Blocks are named in the order of their addresses.
pub(super) trait Target {
    /// The content of `id` goes into the blocks from `start` on.
    fn data(&mut self, id: InodeId, start: u32) -> Result<()>;
    /// The content of `id` is in the blocks from `start` on, but for its tail, since that of
    /// another inode was the same.
    fn shared_data(&mut self, id: InodeId, start: u32) -> Result<()>;
    /// The header of `id` and its tail go into open block `meta` at `offset_bytes`.
    fn inode(&mut self, id: InodeId, meta: MetaBlock, offset_bytes: usize) -> Result<()>;
    /// The header of `id`, larger than a block, goes into the blocks from `start` on.
    fn large_inode(&mut self, id: InodeId, start: u32) -> Result<()>;
    /// Open block `meta` is complete and goes to address `block`.
    fn close(&mut self, meta: MetaBlock, block: u32) -> Result<()>;
    /// A block of zeros goes to address `block`.
    fn padding(&mut self, block: u32) -> Result<()>;
}

/// Walks the whole image front to back; returns its size in blocks. `shapes` are in the order.
pub(super) fn emit(
    tree: &Tree,
    order: &Order,
    shapes: &[Shape],
    target: &mut impl Target,
) -> Result<u32> {
    let mut emitter = Emitter {
        target,
        next_block: 0,
        opened: 0,
        open: Vec::new(),
        root_block: MetaBlock::FIRST,
        ends_full: false,
        shared: BTreeMap::new(),
    };
    emitter.open_block(FIRST_OFFSET_BYTES);
    for (id, inode, shape) in in_turn(tree, order, shapes) {
        emitter.inode(id, inode, shape).map_err(|error| error.at_inode(tree, id))?;
    }
    while let Some(meta) = emitter.open.first().map(|open| open.meta) {
        emitter.close(meta)?;
    }
    if emitter.ends_full {
        // fsck.erofs 1.5 reads an xattr header behind every inode, also behind one that has none
        // and is the last thing in the image.
        let block = emitter.advance(1)?;
        emitter.target.padding(block)?;
    }
    Ok(emitter.next_block)
}

/// The inodes in the order in which [`emit`] goes through them: the root first; then whatever
/// has no data blocks, as long as block 0 is open for it.
pub(super) fn in_turn<'p, 't>(
    tree: &'t Tree,
    order: &'p Order,
    shapes: &'p [Shape],
) -> impl Iterator<Item = (InodeId, &'t Inode, &'p Shape)> + Clone {
    let all = order.inodes(tree).zip(shapes).map(|((id, inode), shape)| (id, inode, shape));
    let others = all.clone().skip(1);
    let without_data = others.clone().filter(|(.., shape)| shape.data_blocks == 0);
    let with_data = others.filter(|(.., shape)| shape.data_blocks > 0);
    all.take(1).chain(without_data).chain(with_data)
}

struct Open {
    meta: MetaBlock,
    used_bytes: usize,
}

struct Emitter<'t, T> {
    target: &'t mut T,
    next_block: u32,
    opened: usize,
    /// In the order of opening.
    open: Vec<Open>,
    /// Where the root's inode is, unless it is larger than a block.
    root_block: MetaBlock,
    /// The image, as far as it goes, ends with a metadata block without a free byte.
    ends_full: bool,
    /// Where shared data is, by [`Shape::shared_with`].
    shared: BTreeMap<u32, u32>,
}

impl<T: Target> Emitter<'_, T> {
    /// A file's data comes before its inode, as its tail is known only then. A
    /// directory's comes after, so that the root's nid is small for sure.
    fn inode(&mut self, id: InodeId, inode: &Inode, shape: &Shape) -> Result<()> {
        if inode.kind().is_directory() {
            self.header(id, shape)?;
            self.data(id, shape)
        } else {
            self.data(id, shape)?;
            self.header(id, shape)
        }
    }

    fn data(&mut self, id: InodeId, shape: &Shape) -> Result<()> {
        if shape.data_blocks == 0 {
            return self.target.data(id, 0);
        }
        let shared = shape.shared_with;
        if let Some(start) = shared.and_then(|index| self.shared.get(&index)) {
            return self.target.shared_data(id, *start);
        }
        let start = self.reserve(shape.data_blocks)?;
        self.shared.extend(shared.map(|index| (index, start)));
        self.target.data(id, start)
    }

    fn header(&mut self, id: InodeId, shape: &Shape) -> Result<()> {
        let need_bytes = shape.header_bytes() + shape.tail_bytes();
        if need_bytes > BLOCK_BYTES {
            let blocks =
                u32::try_from(need_bytes.div_ceil(BLOCK_BYTES)).map_err(|_| too_large())?;
            let start = self.reserve(blocks)?;
            return self.target.large_inode(id, start);
        }
        let index = self.find_room(need_bytes)?;
        let Some(open) = self.open.get_mut(index) else { return Ok(()) };
        let (meta, offset_bytes) = (open.meta, open.used_bytes);
        open.used_bytes = (offset_bytes + need_bytes).next_multiple_of(SLOT_BYTES);
        let is_full = open.used_bytes == BLOCK_BYTES;
        if id == Tree::ROOT {
            self.root_block = meta;
        }
        self.target.inode(id, meta, offset_bytes)?;
        if is_full { self.close(meta) } else { Ok(()) }
    }

    /// Index of the fullest open block that has the room, or of a new one.
    fn find_room(&mut self, need_bytes: usize) -> Result<usize> {
        let used = |(_, open): &(usize, &Open)| open.used_bytes;
        let fits = |(_, open): &(usize, &Open)| open.used_bytes + need_bytes <= BLOCK_BYTES;
        if let Some((index, _)) = self.open.iter().enumerate().filter(fits).max_by_key(used) {
            return Ok(index);
        }
        if self.open.len() == OPEN_BLOCKS_MAX
            && let Some((_, fullest)) = self.open.iter().enumerate().max_by_key(used)
        {
            self.close(fullest.meta)?;
        }
        self.open_block(0);
        Ok(self.open.len() - 1)
    }

    fn open_block(&mut self, used_bytes: usize) {
        self.open.push(Open { meta: MetaBlock(self.opened), used_bytes });
        self.opened += 1;
    }

    fn close(&mut self, meta: MetaBlock) -> Result<()> {
        self.close_first()?;
        self.close_open(meta)
    }

    /// Nothing can be written before block 0 is. Where the root's inode is too
    /// large for that, its block follows at once: the superblock has 16 bits
    /// for the root's nid, which end 2 MiB into the image.
    fn close_first(&mut self) -> Result<()> {
        if self.next_block > 0 {
            return Ok(());
        }
        self.close_open(MetaBlock::FIRST)?;
        self.close_open(self.root_block)
    }

    /// Writes a block unless that was done already.
    fn close_open(&mut self, meta: MetaBlock) -> Result<()> {
        let Some(index) = self.open.iter().position(|open| open.meta == meta) else {
            return Ok(());
        };
        let ends_full = self.open.remove(index).used_bytes == BLOCK_BYTES;
        let block = self.advance(1)?;
        self.ends_full = ends_full;
        self.target.close(meta, block)
    }

    /// Takes the next `blocks` of the image.
    fn reserve(&mut self, blocks: u32) -> Result<u32> {
        self.close_first()?;
        self.advance(blocks)
    }

    fn advance(&mut self, blocks: u32) -> Result<u32> {
        let start = self.next_block;
        self.next_block = start.checked_add(blocks).ok_or_else(too_large)?;
        self.ends_full = false;
        Ok(start)
    }
}

fn too_large() -> Error {
    Error::new(ErrorKind::Limit, "the image is larger than 16 TiB (2^32 blocks)")
}
