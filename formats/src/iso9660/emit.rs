//! The one place that decides where everything goes: descriptors, path tables,
//! directories, content. [`emit`] runs twice over the same hierarchies, once into a
//! target that only notes addresses and once into one that writes bytes, so that
//! the two cannot drift apart.

use super::directory::{Directory, DirectoryShape};
use super::format::{ByteOrder, PathTableRecord, SECTOR_BYTES, SYSTEM_AREA_SECTORS};
use super::identifier::Alphabet;
use crate::error::{Error, ErrorKind, Result, inconsistent};
use crate::tree::{InodeId, Kind, Order, Tree};

/// Fewest sectors: libarchive takes less for no image of ISO 9660.
const SECTORS_MIN: u32 = SYSTEM_AREA_SECTORS + 8;

/// All directories of a volume descriptor's tree: the primary one's or Joliet's.
#[derive(Debug)]
pub(super) struct Hierarchy<'t> {
    pub(super) alphabet: Alphabet,
    /// In the order of the path tables (ECMA-119 6.9.1): by depth, by parent, by identifier.
    pub(super) directories: Vec<Directory<'t>>,
    /// Of each directory.
    pub(super) shapes: Vec<DirectoryShape>,
}

impl Hierarchy<'_> {
    /// Length of one path table.
    pub(super) fn path_table_bytes(&self) -> Result<u32> {
        let record_bytes = |directory: &Directory<'_>| {
            PathTableRecord::BYTES + directory.identifier.len().next_multiple_of(2)
        };
        let table_bytes = self.directories.iter().map(record_bytes).sum::<usize>();
        u32::try_from(table_bytes).map_err(|_| inconsistent())
    }
}

/// What emission acts on: see [`emit`]. Everything is named in the order of its
/// address and starts where the last thing ends.
pub(super) trait Target {
    /// The volume descriptors, the terminator among them, go to the sectors from `start` on.
    fn descriptors(&mut self, start: u32) -> Result<()>;
    /// A path table goes to the sectors from `start` on.
    fn path_table(&mut self, hierarchy: usize, order: ByteOrder, start: u32) -> Result<()>;
    /// Records and continuation areas of a directory go to the sectors from `start` on.
    fn directory(&mut self, hierarchy: usize, directory: usize, start: u32) -> Result<()>;
    /// The content of file `id` goes to the sectors from `start` on.
    fn content(&mut self, id: InodeId, start: u32) -> Result<()>;
    /// Zeros go to `sectors` sectors from `start` on.
    fn padding(&mut self, start: u32, sectors: u32) -> Result<()>;
}

/// Walks the whole image front to back; returns its size in sectors, which is even:
/// hypervisors cut off half a page.
pub(super) fn emit(
    tree: &Tree,
    order: &Order,
    hierarchies: &[Hierarchy<'_>],
    target: &mut impl Target,
) -> Result<u32> {
    let mut next = Next(0);
    target.padding(next.take(SYSTEM_AREA_SECTORS)?, SYSTEM_AREA_SECTORS)?;
    let descriptors = u32::try_from(hierarchies.len() + 1).map_err(|_| inconsistent())?;
    target.descriptors(next.take(descriptors)?)?;
    for (index, hierarchy) in hierarchies.iter().enumerate() {
        let sectors = sectors_of(hierarchy.path_table_bytes()?.into())?;
        for order in [ByteOrder::Little, ByteOrder::Big] {
            target.path_table(index, order, next.take(sectors)?)?;
        }
    }
    for (index, hierarchy) in hierarchies.iter().enumerate() {
        for (directory, shape) in hierarchy.shapes.iter().enumerate() {
            target.directory(index, directory, next.take(shape.sectors())?)?;
        }
    }
    for (id, inode) in order.inodes(tree) {
        if let Kind::File(content) = inode.kind()
            && !content.is_empty()
        {
            let sectors = sectors_of(content.len()).map_err(|error| error.at_inode(tree, id))?;
            target.content(id, next.take(sectors)?)?;
        }
    }
    let missing = next.0.next_multiple_of(2).max(SECTORS_MIN) - next.0;
    target.padding(next.take(missing)?, missing)?;
    Ok(next.0)
}

/// The first sector that is not taken yet.
struct Next(u32);

impl Next {
    fn take(&mut self, sectors: u32) -> Result<u32> {
        let start = self.0;
        self.0 = start.checked_add(sectors).ok_or_else(too_large)?;
        Ok(start)
    }
}

/// How many sectors so many bytes take.
fn sectors_of(length_bytes: u64) -> Result<u32> {
    u32::try_from(length_bytes.div_ceil(SECTOR_BYTES as u64)).map_err(|_| too_large())
}

fn too_large() -> Error {
    Error::new(ErrorKind::Limit, "the image is larger than 8 TiB (2^32 sectors)")
}
