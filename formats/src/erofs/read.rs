//! Reads EROFS images, its own and those of other tools, as `fs/erofs` of Linux does.
//!
//! All that is no content goes through one small cache, which also counts the work. Files that
//! are compressed have their names, attributes and sizes told, and their content refused.

mod account;
mod data;
mod directory;
mod inode;
mod metadata;
mod superblock;
mod xattr;

use std::ops::ControlFlow;

use crate::content::{Buffer, Sink};
use crate::error::{Error, ErrorKind, Result, corrupt, unreadable, unsupported};
use crate::read::{
    Account, Entry, Extent, Facts, InodeRef, Limits, Meter, NodeKind, Reader as Reads, Stat,
    Storage,
};
use crate::tree::{SYMLINK_MAX_BYTES, Xattrs};

use inode::Inode;
use metadata::Metadata;
use superblock::Volume;
use xattr::Prefixes;

/// What a file's content is read in.
const PIECE_BYTES: u64 = 256 << 10;

/// An image of EROFS that is read in place.
pub struct Reader {
    facts: Facts,
    volume: Volume,
    metadata: Metadata,
    prefixes: Prefixes,
    xattr_max_bytes: u64,
    /// Content may be shared without a limit, and so be far more than the image.
    content: Meter,
}

impl Reader {
    /// Opens the image in `storage`.
    pub fn open(storage: Box<dyn Storage>, limits: Limits) -> Result<Self> {
        let metadata = Metadata::new(storage, &limits)?;
        let (facts, volume) = superblock::open(&metadata)?;
        let mut reader = Self {
            facts,
            volume,
            metadata,
            prefixes: Prefixes::default(),
            xattr_max_bytes: limits.xattr_bytes,
            content: Meter::new(limits.work_bytes),
        };
        reader.prefixes = Prefixes::read(&reader)?;
        let root = reader.inode(reader.root())?;
        if root.stat.kind != NodeKind::Directory {
            return Err(corrupt("the root is not a directory"));
        }
        Ok(reader)
    }

    fn inode(&self, inode: InodeRef) -> Result<Inode> {
        Inode::read(&self.metadata, &self.volume, inode.0)
    }

    /// The inode of a call that asks for one of this kind alone.
    fn inode_of(&self, inode: InodeRef, kind: NodeKind, what: &str) -> Result<Inode> {
        let found = self.inode(inode)?;
        if found.stat.kind == kind {
            return Ok(found);
        }
        Err(corrupt(format!("inode {} is not {what}", inode.0)))
    }

    /// Fills `buffer` with what a piece of a file holds.
    fn read_piece(&self, image_offset_bytes: Option<u64>, buffer: &mut [u8]) -> Result<()> {
        self.content.charge(buffer.len() as u64)?;
        if let Some(offset_bytes) = image_offset_bytes {
            return self.metadata.storage().read_exact_at(offset_bytes, buffer);
        }
        buffer.fill(0);
        Ok(())
    }
}

impl Reads for Reader {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn root(&self) -> InodeRef {
        InodeRef(self.volume.root_nid)
    }

    fn stat(&self, inode: InodeRef) -> Result<Stat> {
        Ok(self.inode(inode)?.stat)
    }

    fn xattrs(&self, inode: InodeRef) -> Result<Xattrs> {
        xattr::read(self, &self.inode(inode)?)
    }

    fn target(&self, symlink: InodeRef) -> Result<Box<[u8]>> {
        let inode = self.inode_of(symlink, NodeKind::Symlink, "a symbolic link")?;
        let size_bytes = inode.stat.size_bytes;
        let length = usize::try_from(size_bytes)
            .ok()
            .filter(|length| (1..=SYMLINK_MAX_BYTES).contains(length));
        let Some(length) = length else {
            return Err(corrupt(format!(
                "inode {}: a link's target of {size_bytes} bytes: expected 1 to {SYMLINK_MAX_BYTES}",
                inode.nid
            )));
        };
        let mut target = vec![0; length];
        inode.read_metadata(self, 0, &mut target)?;
        if target.contains(&0) {
            return Err(corrupt(format!("inode {}: a link's target holds a NUL", inode.nid)));
        }
        Ok(target.into())
    }

    fn entries(
        &self,
        directory: InodeRef,
        each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let inode = self.inode_of(directory, NodeKind::Directory, "a directory")?;
        directory::entries(self, &inode, each)
    }

    fn lookup(&self, directory: InodeRef, name: &[u8]) -> Result<Option<InodeRef>> {
        let inode = self.inode_of(directory, NodeKind::Directory, "a directory")?;
        directory::lookup(self, &inode, name)
    }

    fn read_at(&self, file: InodeRef, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize> {
        let inode = self.inode_of(file, NodeKind::File, "a file")?;
        let left_bytes = inode.stat.size_bytes.saturating_sub(offset_bytes);
        let length = buffer.len().min(usize::try_from(left_bytes).unwrap_or(usize::MAX));
        let (mut free, _) = buffer.split_at_mut(length);
        let mut at_bytes = offset_bytes;
        while !free.is_empty() {
            let piece = inode.piece(self, at_bytes, free.len() as u64)?;
            let taken = usize::try_from(piece.length_bytes).unwrap_or(usize::MAX).min(free.len());
            let (now, later) = free.split_at_mut(taken);
            self.read_piece(piece.image_offset_bytes, now)?;
            at_bytes = at_bytes.saturating_add(now.len() as u64);
            free = later;
        }
        Ok(length)
    }

    fn stream(&self, file: InodeRef, sink: &mut dyn Sink) -> Result<()> {
        let inode = self.inode_of(file, NodeKind::File, "a file")?;
        let mut buffer = Buffer::zeroed(0);
        inode.extents(self, &mut |extent| {
            let Some(start_bytes) = extent.image_offset_bytes else {
                return Ok(sink.write_zeros(extent.length_bytes)?);
            };
            let mut done_bytes = 0;
            while done_bytes < extent.length_bytes {
                let want = usize::try_from((extent.length_bytes - done_bytes).min(PIECE_BYTES))
                    .map_err(|_| inconsistent_length())?;
                if buffer.len() < want {
                    buffer = Buffer::zeroed(want);
                }
                let (piece, _) = buffer.split_at_mut(want);
                self.read_piece(Some(start_bytes.saturating_add(done_bytes)), piece)?;
                sink.write_all(piece)?;
                done_bytes += want as u64;
            }
            Ok(())
        })
    }

    fn extents(&self, file: InodeRef, each: &mut dyn FnMut(Extent) -> Result<()>) -> Result<()> {
        let inode = self.inode_of(file, NodeKind::File, "a file")?;
        inode.extents(self, each)
    }

    fn account(&self, account: &mut dyn Account) -> Result<()> {
        account::account(self, account)
    }
}

/// An inode lies behind all that has an address.
fn out_of_range(nid: u64) -> Error {
    corrupt(format!("inode {nid} lies behind the end of the image"))
}

fn inconsistent_length() -> Error {
    Error::new(ErrorKind::Bug, "a piece is longer than memory")
}
