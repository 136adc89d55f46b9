//! Where superblock and tree are, and which levels the tree has. Writer and readers share it.

use super::format::SUPER_BLOCK_BYTES;
use super::options::Options;

/// Both the data and the whole image are padded to a multiple of this.
pub(super) const ALIGN_BYTES: u64 = 4096;

/// The layout of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where the superblock is: right behind the data.
    pub(super) data_bytes: u64,
    /// How many blocks of data there are, at least one.
    pub(super) data_blocks: u64,
    /// Where the tree begins.
    pub(super) tree_offset_bytes: u64,
    /// The levels, beginning with the hashes of the data. A single block of data has no level: its
    /// hash is the root hash.
    pub(super) levels: Vec<Level>,
    /// Where the tree ends.
    pub(super) end_bytes: u64,
}

/// A level of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// Where it begins.
    pub(super) offset_bytes: u64,
    /// How many blocks of hashes it has.
    pub(super) blocks: u64,
}

impl Layout {
    /// The layout for `data_bytes` of data, which must be a whole number of blocks and not zero.
    /// None where the tree would end beyond 64 bits.
    pub(super) fn new(options: &Options, data_bytes: u64) -> Option<Self> {
        let data_block_bytes = u64::from(options.data_block_bytes);
        let hash_block_bytes = u64::from(options.hash_block_bytes);
        let data_blocks = data_bytes.checked_div(data_block_bytes)?;
        if data_blocks == 0 || !data_bytes.is_multiple_of(data_block_bytes) {
            return None;
        }
        let per_block = hash_block_bytes.checked_div(options.algorithm.digest_bytes() as u64)?;
        let mut levels = Vec::new();
        let mut below = data_blocks;
        while below > 1 {
            below = below.div_ceil(per_block);
            levels.push(Level { offset_bytes: 0, blocks: below });
        }
        let superblock_end = data_bytes.checked_add(SUPER_BLOCK_BYTES)?;
        let tree_offset_bytes = superblock_end.checked_next_multiple_of(hash_block_bytes)?;
        let mut end_bytes = tree_offset_bytes;
        // The top comes first.
        for level in levels.iter_mut().rev() {
            level.offset_bytes = end_bytes;
            end_bytes = end_bytes.checked_add(level.blocks.checked_mul(hash_block_bytes)?)?;
        }
        Some(Self { data_bytes, data_blocks, tree_offset_bytes, levels, end_bytes })
    }

    /// The size of the whole image, with the padding behind the tree.
    pub(super) fn size_bytes(&self) -> u64 {
        self.end_bytes.next_multiple_of(ALIGN_BYTES)
    }
}
