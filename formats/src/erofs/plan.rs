//! The layout of one image: every inode's form and place, known before a byte is written.

use std::str::FromStr;

use super::emit::{MetaBlock, Target, emit, in_turn};
use super::format::{BLOCK_BYTES, SLOT_BYTES, is_mistaken_for_ext2};
use super::inode::Shape;
use super::shared;
use super::write::Writer;
use crate::ahead::THREADS;
use crate::content::Sink;
use crate::error::{Error, ErrorKind, Result, inconsistent};
use crate::read_ahead::with_read_ahead;
use crate::tree::{InodeId, Order, Timestamp, Tree};

/// A volume label: at most 15 bytes without NUL. The field has 16, of which the
/// reference tools use 15 so that a NUL always ends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label(Vec<u8>);

impl Label {
    /// Longest label in bytes.
    pub const MAX_BYTES: usize = 15;

    /// Checks `label`; [`ErrorKind::Unrepresentable`] says what is wrong.
    pub fn new(label: &[u8]) -> Result<Self> {
        if label.len() > Self::MAX_BYTES {
            let message = format!(
                "the label is {} bytes long, EROFS holds at most {}",
                label.len(),
                Self::MAX_BYTES
            );
            return Err(Error::new(ErrorKind::Unrepresentable, message));
        }
        if label.contains(&0) {
            return Err(Error::new(ErrorKind::Unrepresentable, "the label holds a NUL byte"));
        }
        Ok(Self(label.to_vec()))
    }

    /// The label's bytes, without padding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The field of the superblock.
    pub(super) fn field(&self) -> [u8; 16] {
        let mut field = [0; 16];
        for (to, from) in field.iter_mut().zip(&self.0) {
            *to = *from;
        }
        field
    }
}

impl TryFrom<&[u8]> for Label {
    type Error = Error;

    fn try_from(label: &[u8]) -> Result<Self> {
        Self::new(label)
    }
}

impl TryFrom<&str> for Label {
    type Error = Error;

    fn try_from(label: &str) -> Result<Self> {
        Self::new(label.as_bytes())
    }
}

impl FromStr for Label {
    type Err = Error;

    fn from_str(label: &str) -> Result<Self> {
        Self::new(label.as_bytes())
    }
}

/// What an image says of itself besides its tree.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Volume label; may be empty.
    pub label: Label,
    /// Volume UUID, bytes in the order of its text form; one that
    /// [`is_mistaken_for_ext2`](super::format::is_mistaken_for_ext2) is an error.
    pub uuid: [u8; 16],
    /// The image's own time. Inodes with this very time take the smaller form.
    pub build_time: Timestamp,
    /// How many threads read files where there are many; with 0 or 1 the caller's alone does.
    /// The image's bytes do not depend on it.
    pub threads: usize,
}

impl Default for Options {
    /// No label, a UUID of zeros, built in 1970, two threads.
    fn default() -> Self {
        Self {
            label: Label::default(),
            uuid: [0; 16],
            build_time: Timestamp::default(),
            threads: THREADS,
        }
    }
}

impl Options {
    /// No label, a UUID of zeros, built in 1970, two threads.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this volume label.
    #[must_use]
    pub fn label(self, label: Label) -> Self {
        Self { label, ..self }
    }

    /// With this volume UUID, bytes in the order of its text form.
    #[must_use]
    pub fn uuid(self, uuid: [u8; 16]) -> Self {
        Self { uuid, ..self }
    }

    /// With this time as the image's own.
    #[must_use]
    pub fn build_time(self, build_time: Timestamp) -> Self {
        Self { build_time, ..self }
    }

    /// With so many threads that read files; the image's bytes do not depend on it.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }
}

/// An image that is laid out and can be written; writing fails only on I/O or
/// on a source that changed.
#[derive(Debug)]
pub struct Plan<'t> {
    pub(super) tree: &'t Tree,
    pub(super) options: Options,
    pub(super) order: Order,
    /// In that order.
    pub(super) shapes: Vec<Shape>,
    /// By [`InodeId::index`].
    pub(super) places: Vec<Place>,
    pub(super) root_nid: u16,
    pub(super) blocks: u32,
}

/// Where an inode is and where its data starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Counts 32-byte slots from the start of the image.
    pub(super) nid: u64,
    /// 0 where there are no data blocks.
    pub(super) start_block: u32,
}

impl<'t> Plan<'t> {
    /// Lays out `tree`. What EROFS cannot hold is [`ErrorKind::Unrepresentable`] or [`ErrorKind::Limit`].
    ///
    /// Sources of equal length, of a block or more, are read to find those of equal content.
    /// That fails as [writing](Self::write) does: with what [`Source`](crate::Source) says.
    pub fn new(tree: &'t Tree, options: Options) -> Result<Self> {
        if is_mistaken_for_ext2(&options.uuid) {
            let message = "with a UUID whose fourth group is 53ef the image would pass for ext2";
            return Err(Error::new(ErrorKind::Unrepresentable, message));
        }
        let shape = |(id, inode)| {
            Shape::of(id, inode, options.build_time).map_err(|error| error.at_inode(tree, id))
        };
        let order = Order::of(tree)?;
        // Not collected: that would not know how many there are.
        let mut shapes = Vec::with_capacity(tree.len());
        for inode in order.inodes(tree) {
            shapes.push(shape(inode)?);
        }
        shared::find(tree, &order, &mut shapes, options.threads)?;
        let mut measure = Measure::new(tree.len());
        let blocks = emit(tree, &order, &shapes, &mut measure)?;
        let places = measure.places()?;
        // `emit` puts the root into one of the first two blocks, so 16 bits are plenty.
        let root_nid = places.first().and_then(|root| u16::try_from(root.nid).ok());
        let root_nid = root_nid.ok_or_else(inconsistent)?;
        Ok(Self { tree, options, order, shapes, places, root_nid, blocks })
    }

    /// Size of the image in bytes, a multiple of 4096.
    pub fn size_bytes(&self) -> u64 {
        u64::from(self.blocks) * BLOCK_BYTES as u64
    }

    /// Writes the image front to back and returns its size in bytes.
    pub fn write(&self, sink: &mut dyn Sink) -> Result<u64> {
        let contents = in_turn(self.tree, &self.order, &self.shapes);
        let contents = contents.filter_map(|(_, inode, _)| inode.kind().content());
        with_read_ahead(self.options.threads, contents, |reads| {
            let mut writer = Writer::new(self, sink, reads);
            let blocks = emit(self.tree, &self.order, &self.shapes, &mut writer)?;
            if blocks != self.blocks {
                return Err(inconsistent());
            }
            Ok(self.size_bytes())
        })
    }
}

/// The target that notes addresses; none is known before it is emitted.
struct Measure {
    inodes: Vec<Noted>,
    meta_blocks: Vec<Option<u32>>,
}

#[derive(Clone, Copy, Default)]
struct Noted {
    start_block: u32,
    header: Option<Header>,
}

/// As narrow as they may be: there is one for each inode.
#[derive(Clone, Copy)]
enum Header {
    /// Index of the metadata block, and where in it the header is, in slots.
    Packed(u32, u16),
    Large(u32),
}

impl Measure {
    fn new(inodes: usize) -> Self {
        Self { inodes: vec![Noted::default(); inodes], meta_blocks: Vec::new() }
    }

    fn noted(&mut self, id: InodeId) -> Result<&mut Noted> {
        self.inodes.get_mut(id.index()).ok_or_else(inconsistent)
    }

    fn places(self) -> Result<Vec<Place>> {
        let slots_per_block = (BLOCK_BYTES / SLOT_BYTES) as u64;
        let place = |noted: &Noted| {
            let (block, slot) = match noted.header? {
                Header::Packed(meta, slot) => {
                    (self.meta_blocks.get(usize::try_from(meta).ok()?).copied()??, slot)
                }
                Header::Large(block) => (block, 0),
            };
            let nid = u64::from(block) * slots_per_block + u64::from(slot);
            Some(Place { nid, start_block: noted.start_block })
        };
        let mut places = Vec::with_capacity(self.inodes.len());
        for noted in &self.inodes {
            places.push(place(noted).ok_or_else(inconsistent)?);
        }
        Ok(places)
    }
}

impl Target for Measure {
    fn data(&mut self, id: InodeId, start: u32) -> Result<()> {
        self.noted(id)?.start_block = start;
        Ok(())
    }

    fn shared_data(&mut self, id: InodeId, start: u32) -> Result<()> {
        self.data(id, start)
    }

    fn inode(&mut self, id: InodeId, meta: MetaBlock, offset_bytes: usize) -> Result<()> {
        let meta = u32::try_from(meta.0).map_err(|_| inconsistent())?;
        let slot = u16::try_from(offset_bytes / SLOT_BYTES).map_err(|_| inconsistent())?;
        self.noted(id)?.header = Some(Header::Packed(meta, slot));
        Ok(())
    }

    fn large_inode(&mut self, id: InodeId, start: u32) -> Result<()> {
        self.noted(id)?.header = Some(Header::Large(start));
        Ok(())
    }

    fn close(&mut self, meta: MetaBlock, block: u32) -> Result<()> {
        if self.meta_blocks.len() <= meta.0 {
            self.meta_blocks.resize(meta.0 + 1, None);
        }
        if let Some(address) = self.meta_blocks.get_mut(meta.0) {
            *address = Some(block);
        }
        Ok(())
    }

    fn padding(&mut self, _block: u32) -> Result<()> {
        Ok(())
    }
}
