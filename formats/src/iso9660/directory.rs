//! How a directory's records, and what continues their system use fields, lie in
//! its sectors. One walk serves measuring and writing.

use super::format::{
    Continuation, DirectoryRecord, RECORD_MAX_BYTES, RecordTime, SECTION_MAX_BYTES, SECTOR_BYTES,
};
use super::identifier::{Alphabet, Listing};
use super::system_use::{Fields, Role};
use super::time::RecordTimes;
use crate::content::Content;
use crate::error::{Error, ErrorKind, Result, inconsistent};
use crate::tree::{Inode, InodeId, Order, Tree};

/// One directory of a hierarchy.
#[derive(Debug)]
pub(super) struct Directory<'t> {
    pub(super) id: InodeId,
    /// What it holds.
    pub(super) listing: Listing<'t>,
    /// Place of the parent among the directories; the root's is its own.
    pub(super) parent: usize,
    /// The identifier that its path table record has.
    pub(super) identifier: Vec<u8>,
}

/// How many sectors a directory takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectoryShape {
    /// Of records: what other records call its length.
    pub(super) record_sectors: u32,
    /// Behind them, of areas that continue the records.
    pub(super) area_sectors: u32,
}

impl DirectoryShape {
    pub(super) fn sectors(self) -> u32 {
        self.record_sectors + self.area_sectors
    }
}

/// What does not change within one walk.
#[derive(Clone, Copy)]
pub(super) struct Context<'t, 'o> {
    pub(super) tree: &'t Tree,
    pub(super) order: &'o Order,
    pub(super) alphabet: Alphabet,
    pub(super) cut_fractions: bool,
}

/// One record as it is found on the walk: all but addresses.
pub(super) struct Record<'a> {
    pub(super) id: InodeId,
    pub(super) identifier: &'a [u8],
    /// What stands in the record itself.
    pub(super) fields: &'a [u8],
    pub(super) time: RecordTime,
    pub(super) is_directory: bool,
    /// Which part of the content it has; the whole for all but large files.
    pub(super) section: Section,
    /// Where its fields go on.
    pub(super) next: Option<Area>,
}

/// A part of a file's content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// A multiple of the sector.
    pub(super) start_bytes: u64,
    /// At most [`SECTION_MAX_BYTES`].
    pub(super) length_bytes: u32,
    pub(super) is_last: bool,
}

/// A place for fields, counted from the first sector behind the records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) offset_bytes: usize,
    pub(super) length_bytes: usize,
}

/// What the walk acts on.
pub(super) trait DirectoryTarget {
    /// A record goes to `offset_bytes` of the directory.
    fn record(&mut self, offset_bytes: usize, record: &Record<'_>) -> Result<()>;
    /// These fields, and a `CE` to `next`, go to `area`.
    fn area(&mut self, area: Area, fields: &[u8], next: Option<Area>) -> Result<()>;
}

/// Walks the records of `directory` in their order.
pub(super) fn walk(
    context: Context<'_, '_>,
    directory: &Directory<'_>,
    fields: &mut Fields,
    target: &mut impl DirectoryTarget,
) -> Result<DirectoryShape> {
    let times = RecordTimes::new(context.cut_fractions);
    let mut walk = Walk { context, times, fields, target, records: Cursor(0), areas: Cursor(0) };
    let tree = context.tree;
    let (id, parent) = (directory.id, tree.inode(directory.id).parent());
    let own_role = if id == Tree::ROOT { Role::Root } else { Role::Dot };
    // `.` and `..` (ECMA-119 7.6.2).
    walk.inode(id, &[0], own_role)?;
    walk.inode(parent, &[1], Role::Dot)?;
    let mut identifier = Vec::with_capacity(RECORD_MAX_BYTES);
    let listing = &directory.listing;
    for entry in listing.entries() {
        identifier.clear();
        listing.append_identifier(entry, &mut identifier);
        walk.inode(entry.id, &identifier, Role::Entry(entry.name.as_bytes()))?;
    }
    let (records, areas) = (walk.records, walk.areas);
    Ok(DirectoryShape { record_sectors: records.sectors()?, area_sectors: areas.sectors()? })
}

struct Walk<'a, T> {
    context: Context<'a, 'a>,
    times: RecordTimes,
    fields: &'a mut Fields,
    target: &'a mut T,
    records: Cursor,
    areas: Cursor,
}

impl<T: DirectoryTarget> Walk<'_, T> {
    fn inode(&mut self, id: InodeId, identifier: &[u8], role: Role<'_>) -> Result<()> {
        let inode = self.context.tree.inode(id);
        let time = self.times.of(inode.metadata.mtime)?;
        let start_bytes = record_start_bytes(identifier);
        match self.context.alphabet {
            Alphabet::Primary => {
                self.fields.fill(self.context.order.number(id), inode, time, role);
            }
            Alphabet::Joliet => self.fields.clear(),
        }
        let mut parts = self.fields.parts(RECORD_MAX_BYTES - start_bytes);
        let fields = parts.next().unwrap_or_default();
        // Of nearly every record there is no more, and then nothing is allocated for it.
        let rest: Vec<&[u8]> = parts.collect();
        let is_directory = inode.kind().is_directory();
        // The records of all sections have all fields: Linux takes the name from the
        // last one and the rest from the first.
        for section in sections(inode) {
            let area = |(n, part): (usize, &&[u8])| self.areas.area(part, n < rest.len());
            let areas: Vec<Area> = (1..).zip(&rest).map(area).collect();
            let next = areas.first().copied();
            let record = Record { id, identifier, fields, time, is_directory, section, next };
            let offset_bytes = self.records.place(record.length_bytes());
            self.target.record(offset_bytes, &record)?;
            for (index, (area, part)) in areas.iter().zip(&rest).enumerate() {
                self.target.area(*area, part, areas.get(index + 1).copied())?;
            }
        }
        Ok(())
    }
}

impl Record<'_> {
    /// Length of the whole record, which is even (ECMA-119 9.1.13).
    pub(super) fn length_bytes(&self) -> usize {
        let continuation_bytes = if self.next.is_some() { Continuation::BYTES } else { 0 };
        let length_bytes = record_start_bytes(self.identifier) + self.fields.len();
        (length_bytes + continuation_bytes).next_multiple_of(2)
    }
}

/// Length of a record up to its system use fields: the identifier has a zero
/// behind it where it would end at an odd offset (9.1.12).
fn record_start_bytes(identifier: &[u8]) -> usize {
    (size_of::<DirectoryRecord>() + identifier.len()).next_multiple_of(2)
}

/// The parts that a file's content is described in: one, but for large files.
fn sections(inode: &Inode) -> impl Iterator<Item = Section> {
    let length_bytes = inode.kind().content().map_or(0, Content::len);
    let count = length_bytes.div_ceil(SECTION_MAX_BYTES).max(1);
    (0..count).map(move |index| {
        let start_bytes = index * SECTION_MAX_BYTES;
        let left_bytes = (length_bytes - start_bytes).min(SECTION_MAX_BYTES);
        Section {
            start_bytes,
            length_bytes: u32::try_from(left_bytes).unwrap_or(u32::MAX),
            is_last: index + 1 == count,
        }
    })
}

/// Where the next thing goes, none of which crosses a sector's end.
#[derive(Clone, Copy)]
struct Cursor(usize);

impl Cursor {
    fn place(&mut self, length_bytes: usize) -> usize {
        let left_bytes = SECTOR_BYTES - self.0 % SECTOR_BYTES;
        if length_bytes > left_bytes {
            self.0 += left_bytes;
        }
        let offset_bytes = self.0;
        self.0 += length_bytes;
        offset_bytes
    }

    /// The area for `part` and, where the fields go on, a `CE` behind it.
    fn area(&mut self, part: &[u8], goes_on: bool) -> Area {
        let length_bytes = part.len() + if goes_on { Continuation::BYTES } else { 0 };
        Area { offset_bytes: self.place(length_bytes), length_bytes }
    }

    /// How many sectors are begun.
    fn sectors(self) -> Result<u32> {
        // A directory's length in bytes has 32 bits.
        if u32::try_from(self.0.next_multiple_of(SECTOR_BYTES)).is_err() {
            let message = "a directory takes 4 GiB or more, ISO 9660 holds less";
            return Err(Error::new(ErrorKind::Limit, message));
        }
        u32::try_from(self.0.div_ceil(SECTOR_BYTES)).map_err(|_| inconsistent())
    }
}
