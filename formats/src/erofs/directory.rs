//! Directory content: blocks of entries followed by their names, sorted bytewise
//! within and across blocks, `.` and `..` taking part in the sort.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U64};

use super::format::{BLOCK_BYTES, DirectoryEntry, FileType};
use crate::tree::{self, InodeId};

const ENTRY_BYTES: usize = size_of::<DirectoryEntry>();

/// A directory's entries, `.` and `..` among them, in the order of the disk.
pub(super) struct Entries<'t> {
    others: &'t tree::Entries,
    own: InodeId,
    parent: InodeId,
}

impl<'t> Entries<'t> {
    pub(super) fn new(others: &'t tree::Entries, own: InodeId, parent: InodeId) -> Self {
        Self { others, own, parent }
    }

    /// All of them. The tree has the others sorted already.
    fn iter(&self) -> impl Iterator<Item = (&'t [u8], InodeId)> + use<'t> {
        let mut dots = [(b".".as_slice(), self.own), (b"..".as_slice(), self.parent)];
        dots.sort_unstable_by_key(|(name, _)| *name);
        let mut dots = dots.into_iter().peekable();
        let mut others = self.others.iter().map(|(name, id)| (name.as_bytes(), *id)).peekable();
        std::iter::from_fn(move || match (dots.peek(), others.peek()) {
            (Some((dot, _)), Some((other, _))) if dot > other => others.next(),
            (Some(_), _) => dots.next(),
            (None, _) => others.next(),
        })
    }

    /// The entries cut into blocks, each as full as it gets.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Block<'t>> + use<'t> {
        let mut rest = self.iter().peekable();
        std::iter::from_fn(move || {
            let mut block = Block { entries: Vec::new(), used_bytes: 0 };
            while let Some((name, id)) = rest.next_if(|(name, _)| block.has_room(name)) {
                block.used_bytes += ENTRY_BYTES + name.len();
                block.entries.push((name, id));
            }
            (block.used_bytes > 0).then_some(block)
        })
    }

    /// Length in bytes of the whole content: full blocks and the last one as far as it is used.
    pub(super) fn content_bytes(&self) -> u64 {
        let (mut full_blocks, mut used_bytes) = (0, 0);
        for (name, _) in self.iter() {
            let length = ENTRY_BYTES + name.len();
            if used_bytes + length > BLOCK_BYTES {
                (full_blocks, used_bytes) = (full_blocks + 1, 0);
            }
            used_bytes += length;
        }
        full_blocks * BLOCK_BYTES as u64 + used_bytes as u64
    }
}

/// The entries of one block.
pub(super) struct Block<'t> {
    entries: Vec<(&'t [u8], InodeId)>,
    used_bytes: usize,
}

impl Block<'_> {
    fn has_room(&self, name: &[u8]) -> bool {
        self.used_bytes + ENTRY_BYTES + name.len() <= BLOCK_BYTES
    }

    /// Appends the block's used bytes to `out`; `resolve` tells an inode's nid and type.
    pub(super) fn append(
        &self,
        out: &mut Vec<u8>,
        mut resolve: impl FnMut(InodeId) -> (u64, FileType),
    ) {
        let mut name_offset = self.entries.len() * ENTRY_BYTES;
        for (name, id) in &self.entries {
            let (nid, file_type) = resolve(*id);
            let entry = DirectoryEntry {
                nid: U64::new(nid),
                // A block is 4096 bytes long, so every offset in it fits.
                name_offset: U16::new(u16::try_from(name_offset).unwrap_or(u16::MAX)),
                file_type: file_type as u8,
                reserved: 0,
            };
            out.extend_from_slice(entry.as_bytes());
            name_offset += name.len();
        }
        for (name, _) in &self.entries {
            out.extend_from_slice(name);
        }
    }
}
