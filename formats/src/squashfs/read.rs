//! Reads SquashFS images, its own and those of other tools.
//!
//! What Linux refuses is refused, by the rules of its `fs/squashfs`, and some of what it lets
//! pass: names out of order, for one, which it would not find either. All metadata is read by a
//! [`Cursor`](metadata::Cursor), which goes through the blocks of one table and never leaves it.
//! Blocks are unpacked one at a time into buffers of their size, and those of metadata, of
//! fragments and the last one of data are kept; see [`cache`].

mod account;
mod cache;
mod content;
mod directory;
mod inode;
mod metadata;
mod open;
mod unpack;
mod xattr;

use std::ops::ControlFlow;
use std::sync::Mutex;

use self::cache::State;
use self::inode::{Body, Inode};
use self::open::Layout;
use super::format::SuperBlock;
use crate::compress::Compressor;
use crate::content::Sink;
use crate::error::{Error, ErrorKind, Result, corrupt};
use crate::read::{
    Account, Entry, Extent, Facts, InodeRef, Limits, Meter, Reader as Reads, Stat, Storage,
};
use crate::tree::Xattrs;

/// Longest name of an entry (`NAME_MAX` of Linux).
const NAME_MAX_BYTES: usize = 255;
/// Longest target of a symbolic link.
const TARGET_MAX_BYTES: u32 = 4095;

/// An image of SquashFS that is read in place.
pub struct Reader {
    storage: Box<dyn Storage>,
    limits: Limits,
    meter: Meter,
    facts: Facts,
    superblock: SuperBlock,
    compressor: Compressor,
    layout: Layout,
    /// Owners and groups, by the index that inodes have.
    ids: Vec<u32>,
    state: Mutex<State>,
}

impl Reads for Reader {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn root(&self) -> InodeRef {
        InodeRef(self.superblock.root.get())
    }

    fn stat(&self, inode: InodeRef) -> Result<Stat> {
        Ok(self.inode(inode)?.stat(inode))
    }

    fn xattrs(&self, inode: InodeRef) -> Result<Xattrs> {
        let inode = self.inode(inode)?;
        match inode.xattrs {
            Some(index) => self.xattrs_of(index),
            None => Ok(Xattrs::new()),
        }
    }

    fn target(&self, symlink: InodeRef) -> Result<Box<[u8]>> {
        let mut inode = self.inode(symlink)?;
        let Body::Symlink { length } = inode.body else { return Err(not_a("symbolic link")) };
        let mut target = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        inode.rest.read(self, &mut target)?;
        if target.contains(&0) {
            return Err(inode.corrupt("its target holds a NUL byte"));
        }
        Ok(target.into())
    }

    fn entries(
        &self,
        directory: InodeRef,
        each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let inode = self.directory(directory)?;
        self.listing(&inode)?.each(self, &inode, each)
    }

    fn lookup(&self, directory: InodeRef, name: &[u8]) -> Result<Option<InodeRef>> {
        let inode = self.directory(directory)?;
        self.find(&inode, name)
    }

    fn read_at(&self, file: InodeRef, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize> {
        let inode = self.file(file)?;
        self.read_content(file, &inode, offset_bytes, buffer)
    }

    fn stream(&self, file: InodeRef, sink: &mut dyn Sink) -> Result<()> {
        let inode = self.file(file)?;
        self.stream_content(&inode, sink)
    }

    fn extents(&self, file: InodeRef, each: &mut dyn FnMut(Extent) -> Result<()>) -> Result<()> {
        let inode = self.file(file)?;
        self.extents_of(&inode, each)
    }

    fn account(&self, account: &mut dyn Account) -> Result<()> {
        self.account_for(account)
    }
}

impl Reader {
    fn directory(&self, inode: InodeRef) -> Result<Inode> {
        let inode = self.inode(inode)?;
        match inode.body {
            Body::Directory(_) => Ok(inode),
            Body::File(_) | Body::Symlink { .. } | Body::Special(_) => Err(not_a("directory")),
        }
    }

    fn file(&self, inode: InodeRef) -> Result<Inode> {
        let inode = self.inode(inode)?;
        match inode.body {
            Body::File(_) => Ok(inode),
            Body::Directory(_) | Body::Symlink { .. } | Body::Special(_) => {
                Err(not_a("regular file"))
            }
        }
    }
}

/// Something else was asked of an inode than it has.
fn not_a(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the inode is not a {what}"))
}

/// A length that came from memory or was held to a block's before.
fn in_memory(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
