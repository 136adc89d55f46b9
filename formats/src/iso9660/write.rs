//! The target that writes bytes, and checks each address against the plan.

use zerocopy::IntoBytes;
use zerocopy::{big_endian, little_endian};

use super::directory::{Area, Context, Directory, DirectoryTarget, Record, walk};
use super::emit::{Hierarchy, Target};
use super::format::{
    BothU16, BothU32, ByteOrder, Continuation, DirectoryRecord, FLAG_DIRECTORY, FLAG_MULTI_EXTENT,
    JOLIET_ESCAPE, PathTableRecord, SECTOR_BYTES, STANDARD_ID, TYPE_PRIMARY, TYPE_SUPPLEMENTARY,
    TYPE_TERMINATOR, VolumeDescriptor,
};
use super::identifier::Alphabet;
use super::plan::Plan;
use super::system_use::Fields;
use super::time::{NO_VOLUME_TIME, record_time};
use crate::content::Sink;
use crate::error::{Result, inconsistent};
use crate::read_ahead::ReadAhead;
use crate::tree::{InodeId, Kind, Tree};

/// A directory's records go to the sink whenever so many bytes of them are put together: the
/// directory may be very large.
const RECORDS_AT_ONCE_BYTES: usize = 32 << 10;

static ZEROS: [u8; SECTOR_BYTES] = [0; SECTOR_BYTES];

pub(super) struct Writer<'p, 't, 's, 'a> {
    plan: &'p Plan<'t>,
    sink: &'s mut dyn Sink,
    /// What files hold comes by this.
    reads: &'s mut ReadAhead<'a, 't>,
    written_sectors: u32,
    fields: Fields,
    /// Where a directory's records and areas are put together.
    records: Vec<u8>,
    areas: Vec<u8>,
}

impl<'p, 't, 's, 'a> Writer<'p, 't, 's, 'a> {
    pub(super) fn new(
        plan: &'p Plan<'t>,
        sink: &'s mut dyn Sink,
        reads: &'s mut ReadAhead<'a, 't>,
    ) -> Self {
        let (records, areas) = (Vec::new(), Vec::new());
        Self { plan, sink, reads, written_sectors: 0, fields: Fields::default(), records, areas }
    }

    fn hierarchy(&self, index: usize) -> Result<&'p Hierarchy<'t>> {
        self.plan.hierarchies.get(index).ok_or_else(inconsistent)
    }

    /// Writes `bytes` and zeros to the end of their last sector.
    fn write_padded(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.write_all(bytes)?;
        self.pad(bytes.len() as u64)
    }

    /// Fills the sector in which `length_bytes` bytes end with zeros and counts the sectors.
    fn pad(&mut self, length_bytes: u64) -> Result<()> {
        let sector_bytes = SECTOR_BYTES as u64;
        let in_last = usize::try_from(length_bytes % sector_bytes).unwrap_or_default();
        if let Some(zeros) = ZEROS.get(in_last..).filter(|_| in_last > 0) {
            self.sink.write_all(zeros)?;
        }
        let sectors = u32::try_from(length_bytes.div_ceil(sector_bytes)).ok();
        let written = sectors.and_then(|sectors| self.written_sectors.checked_add(sectors));
        self.written_sectors = written.ok_or_else(inconsistent)?;
        Ok(())
    }

    fn descriptor(&self, index: usize, hierarchy: &Hierarchy<'_>) -> Result<VolumeDescriptor> {
        let Plan { tree, options, addresses, time, sectors, .. } = self.plan;
        let is_joliet = hierarchy.alphabet == Alphabet::Joliet;
        let table = |order| addresses.path_table(index, order).ok_or_else(inconsistent);
        let root = addresses.directory(index, Tree::ROOT).ok_or_else(inconsistent)?;
        let root_time = record_time(tree.inode(Tree::ROOT).metadata.mtime, options.cut_fractions)?;
        let mut escape_sequences = [0; 32];
        if is_joliet {
            escape_sequences = padded(&JOLIET_ESCAPE, 0);
        }
        let space = if is_joliet { [0, b' '] } else { [b' '; 2] };
        let mut root_record = DirectoryRecord {
            record_bytes: 0,
            attribute_sectors: 0,
            extent: BothU32::new(root.start),
            data_bytes: BothU32::new(data_bytes(root.sectors)?),
            time: root_time,
            flags: FLAG_DIRECTORY,
            unit_sectors: 0,
            gap_sectors: 0,
            volume_sequence: BothU16::new(1),
            identifier_bytes: 1,
        };
        root_record.record_bytes = record_bytes(size_of::<DirectoryRecord>() + 1)?;
        Ok(VolumeDescriptor {
            kind: if is_joliet { TYPE_SUPPLEMENTARY } else { TYPE_PRIMARY },
            standard_id: STANDARD_ID,
            version: 1,
            flags: 0,
            system_id: blank(space),
            volume_id: volume_id(options.volume_id.as_bytes(), is_joliet),
            unused: [0; 8],
            volume_space_sectors: BothU32::new(*sectors),
            escape_sequences,
            volume_set_size: BothU16::new(1),
            volume_sequence: BothU16::new(1),
            block_bytes: BothU16::new(u16::try_from(SECTOR_BYTES).map_err(|_| inconsistent())?),
            path_table_bytes: BothU32::new(hierarchy.path_table_bytes()?),
            path_table_little: little_endian::U32::new(table(ByteOrder::Little)?),
            optional_little: little_endian::U32::ZERO,
            path_table_big: big_endian::U32::new(table(ByteOrder::Big)?),
            optional_big: big_endian::U32::ZERO,
            root: root_record,
            root_id: 0,
            volume_set_id: blank(space),
            publisher_id: blank(space),
            preparer_id: blank(space),
            application_id: blank(space),
            copyright_file: blank(space),
            abstract_file: blank(space),
            bibliographic_file: blank(space),
            created: *time,
            modified: *time,
            expires: NO_VOLUME_TIME,
            effective: NO_VOLUME_TIME,
            structure_version: 1,
            reserved: 0,
            application_use: [0; 512],
            reserved_end: [0; 653],
        })
    }
}

impl Target for Writer<'_, '_, '_, '_> {
    fn descriptors(&mut self, start: u32) -> Result<()> {
        expect(start == self.written_sectors)?;
        for (index, hierarchy) in self.plan.hierarchies.iter().enumerate() {
            let descriptor = self.descriptor(index, hierarchy)?;
            self.write_padded(descriptor.as_bytes())?;
        }
        // The terminator (ECMA-119 8.3).
        self.write_padded(&[[TYPE_TERMINATOR].as_slice(), &STANDARD_ID, &[1]].concat())
    }

    fn path_table(&mut self, hierarchy: usize, order: ByteOrder, start: u32) -> Result<()> {
        expect(start == self.written_sectors)?;
        expect(self.plan.addresses.path_table(hierarchy, order) == Some(start))?;
        let mut table = Vec::new();
        for directory in &self.hierarchy(hierarchy)?.directories {
            let Directory { id, parent, identifier, .. } = directory;
            let place = self.plan.addresses.directory(hierarchy, *id).ok_or_else(inconsistent)?;
            let record = PathTableRecord {
                identifier_bytes: record_bytes(identifier.len())?,
                attribute_sectors: 0,
                extent: place.start,
                parent: u16::try_from(parent + 1).map_err(|_| inconsistent())?,
            };
            table.extend(record.encode(order));
            table.extend(identifier);
            table.resize(table.len().next_multiple_of(2), 0);
        }
        self.write_padded(&table)
    }

    fn directory(&mut self, hierarchy: usize, directory: usize, start: u32) -> Result<()> {
        expect(start == self.written_sectors)?;
        let Hierarchy { alphabet, directories, shapes } = self.hierarchy(hierarchy)?;
        let found = directories.get(directory).zip(shapes.get(directory));
        let (directory, shape) = found.ok_or_else(inconsistent)?;
        let place = self.plan.addresses.directory(hierarchy, directory.id);
        expect(place.is_some_and(|place| place.start == start))?;
        let Plan { tree, order, options, .. } = self.plan;
        let cut_fractions = options.cut_fractions;
        let context = Context { tree, order, alphabet: *alphabet, cut_fractions };
        self.records.clear();
        self.areas.clear();
        let mut image = DirectoryImage {
            plan: self.plan,
            hierarchy,
            areas_start: start + shape.record_sectors,
            sink: &mut *self.sink,
            written_bytes: 0,
            records: &mut self.records,
            areas: &mut self.areas,
        };
        let walked = walk(context, directory, &mut self.fields, &mut image)?;
        expect(walked == *shape)?;
        image.write_records()?;
        let records_bytes = image.written_bytes as u64;
        self.pad(records_bytes)?;
        self.sink.write_all(&self.areas)?;
        self.pad(self.areas.len() as u64)
    }

    fn content(&mut self, id: InodeId, start: u32) -> Result<()> {
        expect(start == self.written_sectors)?;
        expect(self.plan.addresses.content(id) == Some(start))?;
        let tree = self.plan.tree;
        let Kind::File(content) = tree.inode(id).kind() else { return Err(inconsistent()) };
        let outcome = self.reads.stream(content, self.sink);
        outcome.map_err(|error| error.at_inode(tree, id))?;
        self.pad(content.len())
    }

    fn padding(&mut self, start: u32, sectors: u32) -> Result<()> {
        expect(start == self.written_sectors)?;
        let length_bytes = u64::from(sectors) * SECTOR_BYTES as u64;
        self.sink.write_zeros(length_bytes)?;
        self.pad(length_bytes)
    }
}

/// The target of a walk that puts a directory's bytes together.
struct DirectoryImage<'p, 't, 'b> {
    plan: &'p Plan<'t>,
    hierarchy: usize,
    /// First sector behind the records.
    areas_start: u32,
    sink: &'b mut dyn Sink,
    /// How much of the records is in the sink already.
    written_bytes: usize,
    /// The records behind that.
    records: &'b mut Vec<u8>,
    areas: &'b mut Vec<u8>,
}

impl DirectoryImage<'_, '_, '_> {
    fn write_records(&mut self) -> Result<()> {
        self.sink.write_all(self.records)?;
        self.written_bytes += self.records.len();
        self.records.clear();
        Ok(())
    }

    /// First sector and length of what a record describes.
    fn extent(&self, record: &Record<'_>) -> Result<(u32, u32)> {
        let addresses = &self.plan.addresses;
        let section = record.section;
        if record.is_directory {
            let place = addresses.directory(self.hierarchy, record.id).ok_or_else(inconsistent)?;
            return Ok((place.start, data_bytes(place.sectors)?));
        }
        if section.length_bytes == 0 {
            return Ok((0, 0));
        }
        let start = addresses.content(record.id).ok_or_else(inconsistent)?;
        let before = u32::try_from(section.start_bytes / SECTOR_BYTES as u64);
        let before = before.map_err(|_| inconsistent())?;
        Ok((start + before, section.length_bytes))
    }

    /// The `CE` that leads to an area.
    fn continuation(&self, next: Option<Area>) -> Result<Option<Continuation>> {
        let Some(area) = next else { return Ok(None) };
        let number = |number: usize| u32::try_from(number).map_err(|_| inconsistent());
        let sector = self.areas_start + number(area.offset_bytes / SECTOR_BYTES)?;
        let offset_bytes = number(area.offset_bytes % SECTOR_BYTES)?;
        Ok(Some(Continuation::new([sector, offset_bytes, number(area.length_bytes)?])))
    }
}

impl DirectoryTarget for DirectoryImage<'_, '_, '_> {
    fn record(&mut self, offset_bytes: usize, record: &Record<'_>) -> Result<()> {
        let (extent, data_bytes) = self.extent(record)?;
        let directory_flag = if record.is_directory { FLAG_DIRECTORY } else { 0 };
        let section_flag = if record.section.is_last { 0 } else { FLAG_MULTI_EXTENT };
        let header = DirectoryRecord {
            record_bytes: record_bytes(record.length_bytes())?,
            attribute_sectors: 0,
            extent: BothU32::new(extent),
            data_bytes: BothU32::new(data_bytes),
            time: record.time,
            flags: directory_flag | section_flag,
            unit_sectors: 0,
            gap_sectors: 0,
            volume_sequence: BothU16::new(1),
            identifier_bytes: record_bytes(record.identifier.len())?,
        };
        let continuation = self.continuation(record.next)?;
        let bytes = &mut *self.records;
        let offset_bytes = offset_bytes.checked_sub(self.written_bytes).ok_or_else(inconsistent)?;
        bytes.resize(offset_bytes, 0);
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(record.identifier);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes.extend_from_slice(record.fields);
        if let Some(continuation) = &continuation {
            bytes.extend_from_slice(continuation.as_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        expect(bytes.len() == offset_bytes + record.length_bytes())?;
        if bytes.len() < RECORDS_AT_ONCE_BYTES { Ok(()) } else { self.write_records() }
    }

    fn area(&mut self, area: Area, fields: &[u8], next: Option<Area>) -> Result<()> {
        let continuation = self.continuation(next)?;
        let bytes = &mut *self.areas;
        bytes.resize(area.offset_bytes, 0);
        bytes.extend_from_slice(fields);
        if let Some(continuation) = &continuation {
            bytes.extend_from_slice(continuation.as_bytes());
        }
        expect(bytes.len() == area.offset_bytes + area.length_bytes)
    }
}

fn expect(is_as_planned: bool) -> Result<()> {
    if is_as_planned { Ok(()) } else { Err(inconsistent()) }
}

fn data_bytes(sectors: u32) -> Result<u32> {
    u32::try_from(SECTOR_BYTES)
        .ok()
        .and_then(|sector_bytes| sectors.checked_mul(sector_bytes))
        .ok_or_else(inconsistent)
}

fn record_bytes(length_bytes: usize) -> Result<u8> {
    u8::try_from(length_bytes).map_err(|_| inconsistent())
}

/// A field of a descriptor that says nothing: spaces of one byte, or of two, and a
/// zero where one byte is left over.
fn blank<const N: usize>(space: [u8; 2]) -> [u8; N] {
    let mut field = [0; N];
    for pair in field.chunks_exact_mut(2) {
        pair.copy_from_slice(&space);
    }
    if let Some(last) = field.last_mut().filter(|_| N % 2 == 1 && space == [b' '; 2]) {
        *last = b' ';
    }
    field
}

fn volume_id(identifier: &[u8], is_joliet: bool) -> [u8; 32] {
    if !is_joliet {
        return padded(identifier, b' ');
    }
    let mut field = blank([0, b' ']);
    for (pair, byte) in field.chunks_exact_mut(2).zip(identifier) {
        pair.copy_from_slice(&[0, *byte]);
    }
    field
}

fn padded<const N: usize>(text: &[u8], filler: u8) -> [u8; N] {
    let mut field = [filler; N];
    for (to, from) in field.iter_mut().zip(text) {
        *to = *from;
    }
    field
}
