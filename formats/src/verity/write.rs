//! The writer of hash trees: hashes an image on its way to a sink, and puts superblock and tree
//! behind it.

use std::io::{self, Write};

use zerocopy::IntoBytes;

use super::format::{SALT_BEFORE, SIGNATURE, SUPER_BLOCK_BYTES, SuperBlock, VERSION};
use super::hash::Hasher;
use super::layout::{ALIGN_BYTES, Layout};
use super::options::Options;
use super::tree::Level;
use crate::content::{Buffer, Sink};
use crate::error::{Error, ErrorKind, Result, inconsistent};

/// The length of the window that can be rewritten: a multiple of every block size.
const WINDOW_BYTES: usize = 4096;

/// A sink that passes its data on at once, and writes the tree when it is [finished](Self::finish).
/// It keeps the hashes of all blocks in memory: with SHA-256 and blocks of 4096 bytes a 128th of
/// the data, holes not counted.
///
/// Files are never copied past it, as all of the data has to be hashed.
pub struct Writer<'s> {
    sink: &'s mut dyn Sink,
    options: Options,
    hasher: Hasher,
    leaves: Level,
    /// The last block as far as it is written, if it is not complete; wiped when dropped.
    open: Buffer,
    filled: usize,
    /// How many bytes of data the sink has taken.
    passed_bytes: u64,
    /// The bytes that may be rewritten, as far as they are written, and where they begin.
    window: Buffer,
    window_start: u64,
    /// The hash of a block of zeros; empty until one was needed.
    zero_digest: Vec<u8>,
    /// Set after an error: from then on nobody knows what the sink holds.
    failed: bool,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The root hash, which stands for all of the data: whoever has it notices every change.
    pub root_hash: Vec<u8>,
    /// Size of the data with its padding. The superblock begins there; dm-verity's tools call it
    /// the hash offset.
    pub data_bytes: u64,
    /// Size of everything, a multiple of 4096.
    pub size_bytes: u64,
}

impl<'s> Writer<'s> {
    /// Starts a tree over all data that is written from here on. Options that no superblock can
    /// hold are [`ErrorKind::Limit`].
    pub fn new(options: &Options, sink: &'s mut dyn Sink) -> Result<Self> {
        options.check()?;
        let block_bytes = |bytes: u32| usize::try_from(bytes).map_err(|_| inconsistent());
        let hash_block_bytes = block_bytes(options.hash_block_bytes)?;
        Ok(Self {
            sink,
            hasher: Hasher::with_salt_before(options.algorithm, &options.salt),
            leaves: Level::new(hash_block_bytes, options.algorithm.digest_bytes()),
            open: Buffer::zeroed(block_bytes(options.data_block_bytes)?),
            filled: 0,
            passed_bytes: 0,
            window: Buffer::zeroed(WINDOW_BYTES),
            window_start: 0,
            zero_digest: Vec::new(),
            failed: false,
            options: options.clone(),
        })
    }

    /// Sets where the 4096 bytes begin that may be [rewritten](Sink::rewrite): a multiple of 4096.
    /// For a LUKS volume that is its payload. By default they are the first bytes.
    #[must_use]
    pub fn rewritable_at(self, offset_bytes: u64) -> Self {
        Self { window_start: offset_bytes - offset_bytes % ALIGN_BYTES, ..self }
    }

    /// Pads the data with zeros to a multiple of 4096 bytes, and writes superblock and tree. No
    /// data at all is [`ErrorKind::Unrepresentable`].
    pub fn finish(mut self) -> Result<Sealed> {
        let data_bytes = self.passed_bytes.checked_next_multiple_of(ALIGN_BYTES);
        let data_bytes = data_bytes.filter(|data_bytes| *data_bytes > 0).ok_or_else(|| {
            Error::new(ErrorKind::Unrepresentable, "there is no data to make a hash tree of")
        })?;
        self.write_zeros(data_bytes - self.passed_bytes)?;
        let layout = Layout::new(&self.options, data_bytes).ok_or_else(inconsistent)?;
        let (levels, root_hash) = self.levels(&layout)?;
        self.sink.write_all(self.superblock(&layout).as_bytes())?;
        let superblock_end = layout.data_bytes + SUPER_BLOCK_BYTES;
        self.sink.write_zeros(layout.tree_offset_bytes - superblock_end)?;
        for level in levels.iter().rev() {
            level.write(self.sink)?;
        }
        let size_bytes = layout.size_bytes();
        self.sink.write_zeros(size_bytes - layout.end_bytes)?;
        Ok(Sealed { root_hash, data_bytes, size_bytes })
    }

    /// All levels, beginning with the leaves, and the root hash.
    fn levels(&mut self, layout: &Layout) -> Result<(Vec<Level>, Vec<u8>)> {
        let (hash_block_bytes, digest_bytes) =
            (self.options.hash_block_bytes, self.options.algorithm.digest_bytes());
        let empty = Level::new(hash_block_bytes as usize, digest_bytes);
        let mut level = std::mem::replace(&mut self.leaves, empty);
        let mut levels = Vec::new();
        for planned in &layout.levels {
            let above = level.finish(&self.hasher);
            if level.blocks() != planned.blocks {
                return Err(inconsistent());
            }
            levels.push(level);
            level = above;
        }
        let root_hash = level.single().ok_or_else(inconsistent)?.to_vec();
        Ok((levels, root_hash))
    }

    fn superblock(&self, layout: &Layout) -> SuperBlock {
        let Options { salt, uuid, data_block_bytes, hash_block_bytes, algorithm } = &self.options;
        let mut record = SuperBlock {
            signature: SIGNATURE,
            version: VERSION.into(),
            hash_type: SALT_BEFORE.into(),
            uuid: *uuid,
            algorithm: [0; 32],
            data_block_bytes: (*data_block_bytes).into(),
            hash_block_bytes: (*hash_block_bytes).into(),
            data_blocks: layout.data_blocks.into(),
            salt_bytes: u16::try_from(salt.len()).unwrap_or_default().into(),
            padding: [0; 6],
            salt: [0; 256],
            padding_to_512: [0; 168],
        };
        fill(&mut record.algorithm, algorithm.name().as_bytes());
        fill(&mut record.salt, salt);
        record
    }

    /// Hashes `bytes`, which the sink has taken.
    fn note(&mut self, bytes: &[u8]) {
        self.keep(self.passed_bytes, bytes);
        self.passed_bytes += bytes.len() as u64;
        let mut rest = bytes;
        if self.filled > 0 {
            let taken = rest.len().min(self.open.len() - self.filled);
            let (piece, behind) = rest.split_at(taken);
            fill(self.open.get_mut(self.filled..).unwrap_or_default(), piece);
            self.filled += taken;
            rest = behind;
            if self.filled < self.open.len() {
                return;
            }
            self.leaves.push_hash_of(&self.hasher, &self.open);
            self.filled = 0;
        }
        let blocks = rest.chunks_exact(self.open.len());
        let remainder = blocks.remainder();
        for block in blocks {
            self.leaves.push_hash_of(&self.hasher, block);
        }
        fill(&mut self.open, remainder);
        self.filled = remainder.len();
    }

    /// Hashes zeros that the sink has taken.
    fn note_zeros(&mut self, length_bytes: u64) {
        let block_bytes = self.open.len() as u64;
        let behind_block = self.passed_bytes.checked_next_multiple_of(block_bytes);
        let first = behind_block.map_or(0, |end| end - self.passed_bytes).min(length_bytes);
        let zeros = [0; WINDOW_BYTES];
        let some = |length: u64| zeros.get(..usize::try_from(length).unwrap_or(WINDOW_BYTES));
        self.note(some(first).unwrap_or_default());
        let left = length_bytes - first;
        let blocks = left / block_bytes;
        if blocks > 0 {
            if self.zero_digest.is_empty() {
                self.zero_digest = self.hasher.hash(some(block_bytes).unwrap_or_default());
            }
            self.leaves.push(&self.zero_digest, blocks);
            self.passed_bytes += blocks * block_bytes;
        }
        self.note(some(left % block_bytes).unwrap_or_default());
    }

    /// Copies those of `bytes` that lie in the window into it. `bytes` are the data from
    /// `offset_bytes` on. The window is zero where nothing was copied.
    fn keep(&mut self, offset_bytes: u64, bytes: &[u8]) {
        let window_end = self.window_start.saturating_add(WINDOW_BYTES as u64);
        if offset_bytes >= window_end {
            return;
        }
        let skipped = self.window_start.saturating_sub(offset_bytes);
        let place = offset_bytes.saturating_sub(self.window_start);
        let bytes = bytes.get(usize::try_from(skipped).unwrap_or(usize::MAX)..);
        let place = self.window.get_mut(usize::try_from(place).unwrap_or(usize::MAX)..);
        fill(place.unwrap_or_default(), bytes.unwrap_or_default());
    }

    /// Hashes again the blocks of the window that hold bytes from `start` to `end`.
    fn hash_again(&mut self, start: u64, end: u64) {
        let block_bytes = self.open.len() as u64;
        let whole_blocks = self.passed_bytes / block_bytes;
        let mut number = start / block_bytes;
        while number * block_bytes < end {
            let place = number * block_bytes - self.window_start;
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            let block = self.window.get(place..place.saturating_add(self.open.len()));
            let block = block.unwrap_or_default();
            if number < whole_blocks {
                let digest = self.hasher.hash(block);
                self.leaves.replace(number, &digest);
            } else {
                fill(&mut self.open, block);
            }
            number += 1;
        }
    }

    /// Runs `work`; after it has failed once, everything fails.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let outcome = work(self);
        self.failed = outcome.is_err();
        outcome
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.note(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Sink for Writer<'_> {
    /// A block of zeros is hashed only once, however many there are.
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.guarded(|writer| {
            writer.sink.write_zeros(length_bytes)?;
            writer.note_zeros(length_bytes);
            Ok(())
        })
    }

    /// Rewrites only within the window (see [`Writer::rewritable_at`]): a block can be hashed again
    /// only if all of it is known.
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return self.sink.rewrite(back_bytes, bytes);
        }
        let refused = || io::Error::from(io::ErrorKind::InvalidInput);
        let start = self.passed_bytes.checked_sub(back_bytes).ok_or_else(refused)?;
        let end = start.saturating_add(bytes.len() as u64);
        let window_end = self.window_start.saturating_add(WINDOW_BYTES as u64);
        if start < self.window_start || end > window_end.min(self.passed_bytes) {
            return Err(refused());
        }
        self.guarded(|writer| {
            writer.sink.rewrite(back_bytes, bytes)?;
            writer.keep(start, bytes);
            writer.hash_again(start, end);
            Ok(())
        })
    }
}

/// Copies the start of `from` to the start of `to`, as much as both have.
fn fill(to: &mut [u8], from: &[u8]) {
    let length = to.len().min(from.len());
    let (to, _) = to.split_at_mut(length);
    to.copy_from_slice(from.split_at(length).0);
}
