//! Reads SquashFS images, its own and those of other tools.

use std::ops::ControlFlow;

use crate::content::Sink;
use crate::error::{Error, ErrorKind, Result};
use crate::read::{
    Account, Entry, Extent, Facts, InodeRef, Limits, Reader as Reads, Stat, Storage,
};
use crate::tree::Xattrs;

/// An image of SquashFS that is read in place.
pub struct Reader {
    facts: Facts,
}

impl Reader {
    /// Opens the image in `storage`.
    pub fn open(storage: Box<dyn Storage>, limits: Limits) -> Result<Self> {
        let _ = (storage, limits);
        Err(Error::new(ErrorKind::Unsupported, "SquashFS is not read yet"))
    }
}

impl Reads for Reader {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn root(&self) -> InodeRef {
        InodeRef(0)
    }

    fn stat(&self, _inode: InodeRef) -> Result<Stat> {
        todo()
    }

    fn xattrs(&self, _inode: InodeRef) -> Result<Xattrs> {
        todo()
    }

    fn target(&self, _symlink: InodeRef) -> Result<Box<[u8]>> {
        todo()
    }

    fn entries(
        &self,
        _directory: InodeRef,
        _each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        todo()
    }

    fn read_at(&self, _file: InodeRef, _offset_bytes: u64, _buffer: &mut [u8]) -> Result<usize> {
        todo()
    }

    fn stream(&self, _file: InodeRef, _sink: &mut dyn Sink) -> Result<()> {
        todo()
    }

    fn extents(&self, _file: InodeRef, _each: &mut dyn FnMut(Extent) -> Result<()>) -> Result<()> {
        todo()
    }

    fn account(&self, _account: &mut dyn Account) -> Result<()> {
        todo()
    }
}

fn todo<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "not read yet"))
}
