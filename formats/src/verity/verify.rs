//! Checks data against its tree, and the tree against its root hash.

use super::find::Found;
use super::hash::Hasher;
use super::layout::Level;
use super::options::Options;
use crate::content::Buffer;
use crate::error::{Result, corrupt, unreadable};
use crate::read::{Problems, Storage};
use crate::zeros::is_zero;

/// How much is read at once: a multiple of every block size.
const PIECE_BYTES: usize = 256 << 10;

/// Reads all of the data and the tree, and tells every block that is not what `root_hash` stands
/// for, as `veritysetup verify` does. None where all is as it was written. The superblock counts by
/// what it says: nothing guards its UUID and its padding. A failing read is [`ErrorKind::Source`].
///
/// [`ErrorKind::Source`]: crate::ErrorKind::Source
pub fn verify(storage: &dyn Storage, found: &Found, root_hash: &[u8]) -> Result<Problems> {
    let mut problems = Problems::default();
    let layout = found.layout().ok_or_else(|| corrupt("the hash tree has no valid size"))?;
    let size_bytes = storage.size_bytes().map_err(unreadable)?;
    if size_bytes < layout.end_bytes {
        let message =
            format!("expected {} bytes, got {size_bytes}: it is cut off", layout.end_bytes);
        problems.nowhere(message);
        return Ok(problems);
    }
    let mut check = Check { storage, found, hasher: found.hasher(), problems };
    let Options { data_block_bytes, hash_block_bytes, .. } = found.options;
    let blocks = layout.data_blocks;
    let mut below = Below { what: "data", offset_bytes: 0, blocks, block_bytes: data_block_bytes };
    for level in &layout.levels {
        check.level(&below, level)?;
        let Level { offset_bytes, blocks } = *level;
        below = Below { what: "hashes", offset_bytes, blocks, block_bytes: hash_block_bytes };
    }
    check.top(&below, root_hash)?;
    Ok(check.problems)
}

/// The root hash by the top of the tree itself. Nothing else is read, so it does not tell whether
/// data or tree were changed.
pub fn root_hash(storage: &dyn Storage, found: &Found) -> Result<Vec<u8>> {
    let layout = found.layout().ok_or_else(|| corrupt("the hash tree has no valid size"))?;
    let (offset_bytes, block_bytes) = match layout.levels.last() {
        Some(top) => (top.offset_bytes, found.options.hash_block_bytes),
        // One block of data has no hashes above it.
        None => (0, found.options.data_block_bytes),
    };
    let mut top = Blocks::new(storage, offset_bytes, block_bytes);
    Ok(found.hasher().hash(top.next(1)?))
}

/// The blocks whose hashes a level holds: those of the level below, or the data.
struct Below {
    what: &'static str,
    offset_bytes: u64,
    blocks: u64,
    block_bytes: u32,
}

struct Check<'a> {
    storage: &'a dyn Storage,
    found: &'a Found,
    hasher: Hasher,
    problems: Problems,
}

impl Check<'_> {
    /// Compares the hashes in `level` with the blocks below it.
    fn level(&mut self, below: &Below, level: &Level) -> Result<()> {
        let Options { hash_block_bytes, algorithm, .. } = self.found.options;
        let mut stored = Blocks::new(self.storage, level.offset_bytes, hash_block_bytes);
        let mut hashed = Blocks::new(self.storage, below.offset_bytes, below.block_bytes);
        let mut left = below.blocks;
        for number in 0..level.blocks {
            let block = stored.next(level.blocks - number)?;
            for expected in block.chunks(algorithm.digest_bytes()) {
                if left > 0 {
                    let offset_bytes = hashed.offset_bytes;
                    if self.hasher.hash(hashed.next(left)?) != expected {
                        let what = below.what;
                        let message = format!("a block of {what} is not what its hash says");
                        self.problems.at(offset_bytes, message);
                    }
                    left -= 1;
                } else if !is_zero(expected) {
                    let offset_bytes = stored_at(level, number, hash_block_bytes);
                    let message = "expected zeros behind the last hash in a block of hashes";
                    self.problems.at(offset_bytes, message);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Compares the root hash with the only block at the top.
    fn top(&mut self, below: &Below, root_hash: &[u8]) -> Result<()> {
        let mut blocks = Blocks::new(self.storage, below.offset_bytes, below.block_bytes);
        if self.hasher.hash(blocks.next(below.blocks)?) != root_hash {
            self.problems.nowhere("the image has another root hash");
        }
        Ok(())
    }
}

/// Where a block of a level is.
fn stored_at(level: &Level, number: u64, block_bytes: u32) -> u64 {
    level.offset_bytes.saturating_add(number.saturating_mul(block_bytes.into()))
}

/// Reads blocks one after another.
struct Blocks<'a> {
    storage: &'a dyn Storage,
    block_bytes: usize,
    /// Where the next block is.
    offset_bytes: u64,
    piece: Buffer,
    /// How many bytes of the piece were passed on.
    taken: usize,
}

impl<'a> Blocks<'a> {
    fn new(storage: &'a dyn Storage, offset_bytes: u64, block_bytes: u32) -> Self {
        let block_bytes = usize::try_from(block_bytes).unwrap_or(PIECE_BYTES);
        Self { storage, block_bytes, offset_bytes, piece: Buffer::default(), taken: 0 }
    }

    /// The next block; `left` more, this one counted, may be asked for.
    fn next(&mut self, left: u64) -> Result<&[u8]> {
        if self.taken >= self.piece.len() {
            let blocks = usize::try_from(left).unwrap_or(usize::MAX);
            let length = blocks.saturating_mul(self.block_bytes).min(PIECE_BYTES);
            if self.piece.len() != length {
                self.piece = Buffer::zeroed(length);
            }
            self.storage.read_exact_at(self.offset_bytes, &mut self.piece)?;
            self.taken = 0;
        }
        let start = self.taken;
        self.taken += self.block_bytes;
        self.offset_bytes = self.offset_bytes.saturating_add(self.block_bytes as u64);
        Ok(self.piece.get(start..self.taken).unwrap_or_default())
    }
}
