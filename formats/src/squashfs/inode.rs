//! Inode records: the basic form wherever it can hold the inode, else the extended one.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::data::StoredFile;
use super::directory::Listing;
use super::format::{
    DOTS_BYTES, DeviceNode, Directory, EXTENDED, ExtendedDirectory, ExtendedFile, File,
    InodeHeader, InodeType, NO_FRAGMENT, NO_XATTRS, Symlink,
};
use super::plan::Plan;
use crate::error::{Result, inconsistent};
use crate::tree::{Device, Inode, InodeId, Kind, Mode};

/// What an inode refers to besides what its tree says.
pub(super) enum Payload<'d> {
    File(&'d StoredFile, u64),
    Directory(&'d Listing),
    Symlink(&'d [u8]),
    Device(Device),
    /// A FIFO or socket.
    Nothing,
}

/// The type that directory entries show.
pub(super) fn inode_type(inode: &Inode) -> InodeType {
    match inode.kind() {
        Kind::Directory(_) => InodeType::Directory,
        Kind::File(_) => InodeType::File,
        Kind::Symlink(_) => InodeType::Symlink,
        Kind::BlockDevice(_) => InodeType::BlockDevice,
        Kind::CharDevice(_) => InodeType::CharDevice,
        Kind::Fifo => InodeType::Fifo,
        Kind::Socket => InodeType::Socket,
    }
}

/// Appends the record of `id` to `out`.
pub(super) fn append(
    plan: &Plan<'_>,
    id: InodeId,
    xattrs: Option<u32>,
    payload: &Payload<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let inode = plan.tree.inode(id);
    let record = Record {
        links: U32::new(inode.links()),
        xattrs,
        parent: U32::new(if id == crate::Tree::ROOT {
            u32::try_from(plan.order.len()).map_err(|_| inconsistent())?.saturating_add(1)
        } else {
            plan.number(inode.parent())
        }),
        block_bytes: u64::from(plan.options.block_size.bytes()),
    };
    // The header says which form follows, so the form is decided before.
    let mut body = Vec::new();
    let is_extended = record.append_body(payload, &mut body)?;
    let metadata = &inode.metadata;
    let form = if is_extended { EXTENDED } else { 0 };
    let is_symlink = matches!(payload, Payload::Symlink(_));
    let header = InodeHeader {
        inode_type: U16::new(inode_type(inode) as u16 + form),
        mode: U16::new(if is_symlink { Mode::SYMLINK } else { metadata.mode }.bits()),
        uid_index: U16::new(plan.id_index(metadata.uid)?),
        gid_index: U16::new(plan.id_index(metadata.gid)?),
        mtime_seconds: U32::new(plan.seconds(metadata.mtime)?),
        number: U32::new(plan.number(id)),
    };
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(&body);
    Ok(())
}

struct Record {
    links: U32,
    xattrs: Option<u32>,
    parent: U32,
    block_bytes: u64,
}

impl Record {
    /// Appends what follows the header; returns whether it is in the extended form.
    fn append_body(&self, payload: &Payload<'_>, out: &mut Vec<u8>) -> Result<bool> {
        let links = self.links;
        match payload {
            Payload::File(file, size_bytes) => return Ok(self.append_file(file, *size_bytes, out)),
            Payload::Directory(listing) => return self.append_directory(listing, out),
            Payload::Symlink(target) => {
                let size = U32::new(u32::try_from(target.len()).map_err(|_| inconsistent())?);
                out.extend_from_slice(Symlink { links, size }.as_bytes());
                out.extend_from_slice(target);
            }
            Payload::Device(device) => {
                let device = U32::new(device.encode());
                out.extend_from_slice(DeviceNode { links, device }.as_bytes());
            }
            Payload::Nothing => out.extend_from_slice(links.as_bytes()),
        }
        if let Some(xattrs) = self.xattrs {
            out.extend_from_slice(&xattrs.to_le_bytes());
        }
        Ok(self.xattrs.is_some())
    }

    fn append_file(&self, file: &StoredFile, size_bytes: u64, out: &mut Vec<u8>) -> bool {
        let (start, fragment, sizes): (_, _, &[u32]) = match file {
            StoredFile::Empty => (0, (NO_FRAGMENT, 0), &[]),
            StoredFile::Fragment { block, start_bytes } => (0, (*block, *start_bytes), &[]),
            StoredFile::Blocks(blocks) => {
                (blocks.start.unwrap_or_default(), (NO_FRAGMENT, 0), &blocks.sizes)
            }
        };
        let (fragment, fragment_offset) = (U32::new(fragment.0), U32::new(fragment.1));
        let sparse_bytes = self.sparse_bytes(sizes, size_bytes);
        let narrow = u32::try_from(start).ok().zip(u32::try_from(size_bytes).ok());
        let is_plain = self.links.get() == 1 && self.xattrs.is_none() && sparse_bytes == 0;
        let narrow = narrow.filter(|_| is_plain);
        if let Some((start, size)) = narrow {
            let (start, size) = (U32::new(start), U32::new(size));
            out.extend_from_slice(File { start, fragment, fragment_offset, size }.as_bytes());
        } else {
            let record = ExtendedFile {
                start: U64::new(start),
                size: U64::new(size_bytes),
                sparse_bytes: U64::new(sparse_bytes),
                links: self.links,
                fragment,
                fragment_offset,
                xattrs: U32::new(self.xattrs.unwrap_or(NO_XATTRS)),
            };
            out.extend_from_slice(record.as_bytes());
        }
        for size in sizes {
            out.extend_from_slice(&size.to_le_bytes());
        }
        narrow.is_none()
    }

    /// How many bytes are in blocks that are not stored, of those of these stored lengths.
    fn sparse_bytes(&self, sizes: &[u32], size_bytes: u64) -> u64 {
        let holes = sizes.iter().filter(|size| **size == 0).count() as u64;
        let ends_in_hole = sizes.last() == Some(&0);
        let last_bytes = size_bytes % self.block_bytes;
        let missing =
            if ends_in_hole && last_bytes > 0 { self.block_bytes - last_bytes } else { 0 };
        holes * self.block_bytes - missing
    }

    fn append_directory(&self, listing: &Listing, out: &mut Vec<u8>) -> Result<bool> {
        let size = listing.size_bytes.checked_add(DOTS_BYTES).ok_or_else(inconsistent)?;
        let (links, parent) = (self.links, self.parent);
        let block = U32::new(listing.position.block);
        let offset = U16::new(listing.position.offset);
        let is_plain = self.xattrs.is_none() && listing.index_count == 0;
        let narrow = u16::try_from(size).ok().filter(|_| is_plain);
        if let Some(size) = narrow {
            let record = Directory { block, links, size: U16::new(size), offset, parent };
            out.extend_from_slice(record.as_bytes());
        } else {
            let record = ExtendedDirectory {
                links,
                size: U32::new(size),
                block,
                parent,
                index_count: U16::new(listing.index_count),
                offset,
                xattrs: U32::new(self.xattrs.unwrap_or(NO_XATTRS)),
            };
            out.extend_from_slice(record.as_bytes());
            out.extend_from_slice(&listing.index);
        }
        Ok(narrow.is_none())
    }
}
