//! One level of a tree while it is made. Equal blocks in a row, as of a hole, are stored once. So
//! the memory for a tree is at most a 128th of the data, holes not counted, with SHA-256 and blocks
//! of 4096 bytes.

use super::hash::Hasher;
use crate::content::Sink;
use crate::error::Result;

/// The hashes of the level below, in blocks.
pub(super) struct Level {
    runs: Vec<Run>,
    /// The last block, which is not full.
    open: Vec<u8>,
    block_bytes: usize,
    digest_bytes: usize,
}

/// Equal blocks in a row.
struct Run {
    block: Vec<u8>,
    count: u64,
}

impl Level {
    /// An empty level. A block must have room for several hashes.
    pub(super) fn new(block_bytes: usize, digest_bytes: usize) -> Self {
        Self { runs: Vec::new(), open: Vec::new(), block_bytes, digest_bytes }
    }

    /// Adds the hash of `block`.
    pub(super) fn push_hash_of(&mut self, hasher: &Hasher, block: &[u8]) {
        if self.open.capacity() == 0 {
            self.open.reserve_exact(self.block_bytes);
        }
        hasher.append(block, &mut self.open);
        self.close_if_full();
    }

    /// Adds `count` times the hash `digest`.
    pub(super) fn push(&mut self, digest: &[u8], count: u64) {
        let mut left = count;
        let per_block = self.per_block();
        while left > 0 {
            if self.open.is_empty() && left >= per_block {
                let block = digest.repeat(self.block_bytes / self.digest_bytes);
                self.add(block, left / per_block);
                left %= per_block;
            } else {
                self.open.extend_from_slice(digest);
                left -= 1;
                self.close_if_full();
            }
        }
    }

    /// Replaces the hash with this number, which must exist.
    pub(super) fn replace(&mut self, number: u64, digest: &[u8]) {
        let per_block = self.per_block();
        let mut block_number = number / per_block;
        let start = usize::try_from(number % per_block).unwrap_or_default() * self.digest_bytes;
        let mut found = None;
        for (index, run) in self.runs.iter().enumerate() {
            if block_number < run.count {
                found = Some(index);
                break;
            }
            block_number -= run.count;
        }
        let block = match found {
            None => Some(&mut self.open),
            Some(index) => self.split_out(index, block_number),
        };
        let place = block.and_then(|block| block.get_mut(start..start + digest.len()));
        if let Some(place) = place {
            place.copy_from_slice(digest);
        }
    }

    /// Gives one block of a run a run of its own; `number` counts from the start of the old run.
    fn split_out(&mut self, index: usize, number: u64) -> Option<&mut Vec<u8>> {
        let Run { block, count } = self.runs.get(index)?;
        let (before, behind) = (number, count.checked_sub(number + 1)?);
        let part = |count| Run { block: block.clone(), count };
        let parts = [part(before), part(1), part(behind)];
        let parts = parts.into_iter().filter(|run| run.count > 0);
        self.runs.splice(index..=index, parts);
        let own = index + usize::from(before > 0);
        self.runs.get_mut(own).map(|run| &mut run.block)
    }

    /// How many blocks there are.
    pub(super) fn blocks(&self) -> u64 {
        let whole: u64 = self.runs.iter().map(|run| run.count).sum();
        whole + u64::from(!self.open.is_empty())
    }

    /// Pads the last block with zeros, and makes the level above.
    pub(super) fn finish(&mut self, hasher: &Hasher) -> Self {
        if !self.open.is_empty() {
            self.open.resize(self.block_bytes, 0);
            self.close_if_full();
        }
        let mut above = Self::new(self.block_bytes, self.digest_bytes);
        for Run { block, count } in &self.runs {
            above.push(&hasher.hash(block), *count);
        }
        above
    }

    /// The hash, if it is the only one.
    pub(super) fn single(&self) -> Option<&[u8]> {
        let is_single = self.runs.is_empty() && self.open.len() == self.digest_bytes;
        is_single.then_some(self.open.as_slice())
    }

    /// Writes all blocks.
    pub(super) fn write(&self, sink: &mut dyn Sink) -> Result<()> {
        for Run { block, count } in &self.runs {
            for _ in 0..*count {
                sink.write_all(block)?;
            }
        }
        Ok(())
    }

    fn per_block(&self) -> u64 {
        (self.block_bytes / self.digest_bytes) as u64
    }

    fn close_if_full(&mut self) {
        if self.open.len() >= self.block_bytes {
            let block = std::mem::take(&mut self.open);
            self.add(block, 1);
        }
    }

    fn add(&mut self, block: Vec<u8>, count: u64) {
        match self.runs.last_mut() {
            Some(last) if last.block == block => last.count += count,
            Some(_) | None => self.runs.push(Run { block, count }),
        }
    }
}
