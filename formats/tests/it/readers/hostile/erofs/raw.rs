//! Images of EROFS put together byte by byte, for what our writer does not write.

use credimg_formats::erofs::format::{BLOCK_BYTES, SUPER_OFFSET_BYTES};

/// Where the root's inode is.
pub(super) const ROOT: u64 = 40;
/// Types of entries.
pub(super) const FILE: u8 = 1;
pub(super) const DIRECTORY: u8 = 2;
/// Forms of compact inodes: the layout, above the bit that tells the record.
pub(super) const PLAIN: u16 = 0;
pub(super) const INLINE: u16 = 2 << 1;
pub(super) const CHUNKED: u16 = 4 << 1;

/// An image of 4096-byte blocks as it is put together.
pub(super) struct Raw {
    pub(super) image: Vec<u8>,
    inodes: u32,
}

impl Raw {
    /// So many blocks of zeros behind a superblock.
    pub(super) fn new(blocks: u32, feature_compat: u32, feature_incompat: u32) -> Self {
        let mut raw = Self { image: vec![0; blocks as usize * BLOCK_BYTES], inodes: 0 };
        let at = SUPER_OFFSET_BYTES;
        raw.u32(at, 0xe0f5_e1e2);
        raw.u32(at + 8, feature_compat | 1);
        raw.put(at + 12, &[12, 0]);
        raw.u16(at + 14, ROOT as u16);
        raw.u32(at + 36, blocks);
        raw.u32(at + 80, feature_incompat);
        raw
    }

    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.image[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn u16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    /// A compact inode; returns where what follows it begins.
    pub(super) fn inode(
        &mut self,
        nid: u64,
        form: u16,
        (mode, links): (u16, u16),
        size_bytes: u32,
        place: u32,
    ) -> usize {
        self.inodes += 1;
        let at = nid as usize * 32;
        self.u16(at, form);
        self.u16(at + 4, mode);
        self.u16(at + 6, links);
        self.u32(at + 8, size_bytes);
        self.u32(at + 16, place);
        self.u32(at + 20, self.inodes);
        at + 32
    }

    /// A file of this form.
    pub(super) fn file(&mut self, nid: u64, form: u16, size_bytes: u32, place: u32) -> usize {
        self.inode(nid, form, (0o100_400, 1), size_bytes, place)
    }

    /// A directory that stands behind its inode, with `.` and `..`.
    pub(super) fn directory(&mut self, nid: u64, parent: u64, entries: &[(&str, u64, u8)]) {
        let all = [&[(".", nid, DIRECTORY), ("..", parent, DIRECTORY)], entries].concat();
        let bytes = block(&all);
        let links = 2 + entries.iter().filter(|entry| entry.2 == DIRECTORY).count() as u16;
        let at = self.inode(nid, INLINE, (0o040_500, links), bytes.len() as u32, 0);
        self.put(at, &bytes);
    }

    /// The image, whose superblock counts the inodes and has no right checksum yet.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.u32(SUPER_OFFSET_BYTES + 16, self.inodes);
        super::mend(&mut self.image);
        self.image
    }
}

/// Entries as a block of a directory has them.
pub(super) fn block(entries: &[(&str, u64, u8)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut name_offset = entries.len() * 12;
    for (name, nid, file_type) in entries {
        bytes.extend(nid.to_le_bytes());
        bytes.extend((name_offset as u16).to_le_bytes());
        bytes.extend([*file_type, 0]);
        name_offset += name.len();
    }
    bytes.extend(entries.iter().flat_map(|(name, ..)| name.bytes()));
    bytes
}
