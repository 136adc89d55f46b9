//! What is kept of an image: unpacked blocks, and the place in the last file.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use super::content::Place;
use super::unpack::Worker;
use crate::content::Buffer;
use crate::read::Limits;
use crate::squashfs::format::{FragmentEntry, METADATA_BYTES};

/// Most blocks of fragments that are kept, however small they are.
const FRAGMENTS_MAX: usize = 64;

/// A block as it was before it was packed.
pub(super) struct Unpacked {
    bytes: Buffer,
    length: usize,
    /// Where the image goes on behind what is stored of it.
    pub(super) end: u64,
}

impl Unpacked {
    /// The first so many of `bytes`.
    pub(super) fn new(bytes: Buffer, length: usize, end: u64) -> Arc<Self> {
        Arc::new(Self { bytes, length, end })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// What changes while an image is read. It is locked for moments only, never while a block is
/// unpacked or handed out.
pub(super) struct State {
    pub(super) metadata: Recent,
    pub(super) fragments: Recent,
    /// The last block of data, by where it is stored.
    pub(super) data: Option<(u64, Arc<Unpacked>)>,
    /// The last entry of the fragment table, by its index.
    pub(super) entry: Option<(u32, FragmentEntry)>,
    pub(super) place: Option<Place>,
    /// Those who unpack and have nothing to do: as many as there were threads at once.
    pub(super) workers: Vec<Worker>,
}

impl State {
    pub(super) fn new(limits: Limits, block_bytes: usize) -> Self {
        let fragments = (limits.cache_bytes / block_bytes.max(1)).min(FRAGMENTS_MAX);
        Self {
            metadata: Recent::new(limits.cache_bytes / METADATA_BYTES),
            fragments: Recent::new(fragments),
            data: None,
            entry: None,
            place: None,
            workers: Vec::new(),
        }
    }
}

/// Blocks by where they are stored: at least half as many as it may hold, those last used.
/// They are in two generations; what is used comes into the young one, and where that is full
/// the old one goes.
pub(super) struct Recent {
    half: usize,
    young: BTreeMap<u64, Arc<Unpacked>>,
    old: BTreeMap<u64, Arc<Unpacked>>,
}

impl Recent {
    fn new(most: usize) -> Self {
        Self { half: (most / 2).max(1), young: BTreeMap::new(), old: BTreeMap::new() }
    }

    pub(super) fn get(&mut self, position: u64) -> Option<Arc<Unpacked>> {
        if let Some(block) = self.young.get(&position) {
            return Some(Arc::clone(block));
        }
        let block = self.old.remove(&position)?;
        self.insert(position, Arc::clone(&block));
        Some(block)
    }

    pub(super) fn insert(&mut self, position: u64, block: Arc<Unpacked>) {
        if self.young.len() >= self.half {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(position, block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_is_kept_and_the_rest_is_bounded() {
        let block = |position| Unpacked::new(Buffer::zeroed(1), 1, position);
        let mut recent = Recent::new(8);
        for position in 0..1000 {
            recent.insert(position, block(position));
            assert!(recent.get(0).is_some(), "{position}");
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        for position in 997..1000 {
            assert!(recent.get(position).is_some_and(|block| block.end == position));
        }
        assert!(recent.get(500).is_none());
    }
}
