//! The layout of one image.

use crate::content::Sink;
use crate::error::{Error, ErrorKind, Result};
use crate::tree::{InodeId, Timestamp, Tree};

/// A volume identifier: at most 32 bytes of printable ASCII (ECMA-119 8.4.7), lower
/// case as well, which every reader takes; no space at either end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeId(Vec<u8>);

impl VolumeId {
    /// Longest identifier in bytes.
    pub const MAX_BYTES: usize = 32;
    /// Longest identifier in characters where there is a Joliet tree, too.
    pub const JOLIET_MAX_CHARS: usize = 16;

    /// Checks `identifier`; [`ErrorKind::Unrepresentable`] says what is wrong.
    pub fn new(identifier: &[u8]) -> Result<Self> {
        Ok(Self(identifier.to_vec()))
    }
}

/// What an image says of itself besides its tree.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Volume identifier; may be empty.
    pub volume_id: VolumeId,
    /// Time of the volume; whole seconds are kept.
    pub build_time: Timestamp,
    /// Adds the Joliet tree, which has no modes, owners and links.
    pub joliet: bool,
    /// Leaves out, and lists in [`Plan::losses`], what the format or Linux's
    /// reading of it cannot hold; an error otherwise.
    pub lossy: bool,
}

/// Something of the tree that a lossy image does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The inode that it belongs to.
    pub id: InodeId,
    /// What is lost of it.
    pub lost: Lost,
}

/// What is lost of an inode.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// All its extended attributes.
    Xattrs,
}

/// An image that is laid out and can be written.
#[derive(Debug)]
pub struct Plan<'t> {
    tree: &'t Tree,
    options: Options,
}

impl<'t> Plan<'t> {
    /// Lays out `tree`.
    pub fn new(tree: &'t Tree, options: Options) -> Result<Self> {
        Ok(Self { tree, options })
    }

    /// Size of the image in bytes, a multiple of 4096.
    pub fn size_bytes(&self) -> u64 {
        0
    }

    /// What is left out, in the tree's order; empty unless lossy.
    pub fn losses(&self) -> &[Loss] {
        &[]
    }

    /// Writes the image front to back.
    pub fn write(&self, sink: &mut dyn Sink) -> Result<()> {
        let _ = (self.tree, &self.options, sink);
        Err(Error::new(ErrorKind::Unsupported, "not written yet"))
    }
}
