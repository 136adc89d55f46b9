//! Directory content: blocks of entries followed by their names, sorted bytewise
//! within and across blocks, `.` and `..` taking part in the sort.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U64};

use super::format::{BLOCK_BYTES, DirectoryEntry, FileType};
use crate::tree::{self, InodeId};

const ENTRY_BYTES: usize = size_of::<DirectoryEntry>();

/// A directory's entries, `.` and `..` among them, in the order of the disk.
pub(super) struct Entries<'t>(Vec<(&'t [u8], InodeId)>);

impl<'t> Entries<'t> {
    pub(super) fn new(entries: &'t tree::Entries, own: InodeId, parent: InodeId) -> Self {
        let mut sorted: Vec<(&[u8], InodeId)> = Vec::with_capacity(entries.len() + 2);
        sorted.extend([(b".".as_slice(), own), (b"..".as_slice(), parent)]);
        sorted.extend(entries.iter().map(|(name, id)| (name.as_bytes(), *id)));
        sorted.sort_unstable_by_key(|(name, _)| *name);
        Self(sorted)
    }

    /// The entries cut into blocks, each as full as it gets.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Block<'_, 't>> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let mut used_bytes = 0;
            let fits = |(name, _): &&(&[u8], InodeId)| {
                used_bytes += ENTRY_BYTES + name.len();
                used_bytes <= BLOCK_BYTES
            };
            let count = rest.iter().take_while(fits).count();
            let (block, tail) = rest.split_at(count);
            rest = tail;
            (count > 0).then_some(Block(block))
        })
    }

    /// Length in bytes of the whole content: full blocks and the last one as far as it is used.
    pub(super) fn content_bytes(&self) -> u64 {
        let (count, last) =
            self.blocks().fold((0, 0), |(count, _), block| (count + 1, block.used_bytes()));
        (count - 1) * BLOCK_BYTES as u64 + last as u64
    }
}

/// The entries of one block.
pub(super) struct Block<'b, 't>(&'b [(&'t [u8], InodeId)]);

impl Block<'_, '_> {
    fn used_bytes(&self) -> usize {
        self.0.iter().map(|(name, _)| ENTRY_BYTES + name.len()).sum()
    }

    /// Appends the block's used bytes to `out`; `resolve` tells an inode's nid and type.
    pub(super) fn append(
        &self,
        out: &mut Vec<u8>,
        mut resolve: impl FnMut(InodeId) -> (u64, FileType),
    ) {
        let mut name_offset = self.0.len() * ENTRY_BYTES;
        for (name, id) in self.0 {
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
        for (name, _) in self.0 {
            out.extend_from_slice(name);
        }
    }
}
