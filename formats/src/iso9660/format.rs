//! On-disk records of ISO 9660 (ECMA-119, 4th edition, June 2019), of the System
//! Use Sharing Protocol (SUSP 1.12), of Rock Ridge (RRIP 1.12) and of Joliet.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, big_endian, little_endian,
};

/// Logical sector and logical block in bytes (ECMA-119 6.1.2, 6.2.2).
pub const SECTOR_BYTES: usize = 2048;
/// Sectors before the volume descriptors, for whoever boots from the image (6.2.1).
pub const SYSTEM_AREA_SECTORS: u32 = 16;
/// First bytes of every volume descriptor behind its type (8.1.2).
pub const STANDARD_ID: [u8; 5] = *b"CD001";

/// Volume descriptor types (8.1.1).
pub const TYPE_PRIMARY: u8 = 1;
pub(super) const TYPE_SUPPLEMENTARY: u8 = 2;
pub(super) const TYPE_TERMINATOR: u8 = 255;

/// UCS-2 level 3, as Joliet marks its descriptor.
pub(super) const JOLIET_ESCAPE: [u8; 3] = *b"%/E";
/// UCS-2 levels 1 to 3: any of them marks a descriptor of Joliet.
pub(super) const JOLIET_ESCAPES: [[u8; 3]; 3] = [*b"%/@", *b"%/C", JOLIET_ESCAPE];

/// A boot record's volume descriptor (8.2).
pub(super) const TYPE_BOOT: u8 = 0;
/// A volume partition's descriptor (8.6).
pub(super) const TYPE_PARTITION: u8 = 3;
/// Boot system identifier of El Torito, whose catalog the record leads to (El Torito 1.0, 2.0).
pub(super) const EL_TORITO: &[u8] = b"EL TORITO SPECIFICATION";

/// File flags of a directory record (9.1.6).
pub(super) const FLAG_DIRECTORY: u8 = 0x02;
/// A file that belongs to the one of the same identifier, and is not shown.
pub(super) const FLAG_ASSOCIATED: u8 = 0x04;
/// A further section of the same file follows in the next record.
pub(super) const FLAG_MULTI_EXTENT: u8 = 0x80;

/// Largest directory record: its length is one byte, and even (9.1.1, 9.1.13).
pub(super) const RECORD_MAX_BYTES: usize = 254;
/// Largest file section: the largest length of 32 bits that fills its sectors.
pub(super) const SECTION_MAX_BYTES: u64 = 0xffff_f800;

/// A 16-bit number in both byte orders (7.2.3).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct BothU16 {
    little: little_endian::U16,
    big: big_endian::U16,
}

impl BothU16 {
    pub(super) fn new(number: u16) -> Self {
        Self { little: little_endian::U16::new(number), big: big_endian::U16::new(number) }
    }

    /// The little-endian half, which Linux reads.
    pub(super) fn get(self) -> u16 {
        self.little.get()
    }

    /// The big-endian half, which says the same in a valid image.
    pub(super) fn big(self) -> u16 {
        self.big.get()
    }
}

/// A 32-bit number in both byte orders (7.3.3).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct BothU32 {
    little: little_endian::U32,
    big: big_endian::U32,
}

impl BothU32 {
    pub(super) fn new(number: u32) -> Self {
        Self { little: little_endian::U32::new(number), big: big_endian::U32::new(number) }
    }

    /// The little-endian half, which Linux reads.
    pub(crate) fn get(self) -> u32 {
        self.little.get()
    }

    /// The big-endian half, which says the same in a valid image.
    pub(super) fn big(self) -> u32 {
        self.big.get()
    }
}

/// Date and time of a volume descriptor: digits, and the offset from Greenwich in
/// quarters of an hour (8.4.26.1). Not given: digits `0`, offset 0.
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct VolumeTime {
    /// Year, month, day, hour, minute, second and hundredths of it.
    pub digits: [u8; 16],
    /// 0: UTC.
    pub offset: u8,
}

/// Date and time of a directory record, and of a TF field (9.1.5).
#[derive(
    Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy,
)]
#[repr(C)]
pub(super) struct RecordTime {
    /// Years since 1900.
    pub(super) year: u8,
    /// 1 to 12.
    pub(super) month: u8,
    /// 1 to 31.
    pub(super) day: u8,
    /// 0 to 23.
    pub(super) hour: u8,
    /// 0 to 59.
    pub(super) minute: u8,
    /// 0 to 59.
    pub(super) second: u8,
    /// 0: UTC.
    pub(super) offset: u8,
}

/// Primary and supplementary volume descriptor, one sector (8.4, 8.5). Texts are
/// padded with spaces: of one byte in the primary one, of two in Joliet's.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct VolumeDescriptor {
    /// [`TYPE_PRIMARY`] or the supplementary one's.
    pub kind: u8,
    /// [`STANDARD_ID`].
    pub standard_id: [u8; 5],
    /// 1.
    pub version: u8,
    /// 0: all escape sequences are registered ones.
    pub flags: u8,
    /// What may use the system area: nobody.
    pub system_id: [u8; 32],
    /// The label.
    pub volume_id: [u8; 32],
    /// Zero.
    pub(super) unused: [u8; 8],
    /// Size of the image in sectors.
    pub(crate) volume_space_sectors: BothU32,
    /// [`JOLIET_ESCAPE`] and zeros; zeros in the primary one.
    pub(super) escape_sequences: [u8; 32],
    /// 1: a volume of its own.
    pub(super) volume_set_size: BothU16,
    /// 1.
    pub(super) volume_sequence: BothU16,
    /// [`SECTOR_BYTES`].
    pub(super) block_bytes: BothU16,
    /// Length of one path table.
    pub(super) path_table_bytes: BothU32,
    /// First sector of the little-endian path table.
    pub(super) path_table_little: little_endian::U32,
    /// 0: there is no second one.
    pub(super) optional_little: little_endian::U32,
    /// First sector of the big-endian path table.
    pub(super) path_table_big: big_endian::U32,
    /// 0.
    pub(super) optional_big: big_endian::U32,
    /// The root's record, with the identifier of `.`.
    pub(super) root: DirectoryRecord,
    /// The root's identifier, one byte of 0.
    pub(super) root_id: u8,
    /// Spaces.
    pub(super) volume_set_id: [u8; 128],
    /// Spaces.
    pub(super) publisher_id: [u8; 128],
    /// Spaces.
    pub(super) preparer_id: [u8; 128],
    /// Spaces.
    pub(super) application_id: [u8; 128],
    /// Spaces.
    pub(super) copyright_file: [u8; 37],
    /// Spaces.
    pub(super) abstract_file: [u8; 37],
    /// Spaces.
    pub(super) bibliographic_file: [u8; 37],
    /// The build's time.
    pub created: VolumeTime,
    /// The build's time; blkid makes the UUID of it.
    pub modified: VolumeTime,
    /// Not given.
    pub(super) expires: VolumeTime,
    /// Not given.
    pub(super) effective: VolumeTime,
    /// 1.
    pub(super) structure_version: u8,
    /// Zero.
    pub(super) reserved: u8,
    /// Zero.
    pub(super) application_use: [u8; 512],
    /// Zero.
    pub(super) reserved_end: [u8; 653],
}

const _: () = assert!(size_of::<VolumeDescriptor>() == SECTOR_BYTES);

/// A directory record without its identifier, which follows, with a zero behind
/// it where its length is even, and then the system use fields (9.1).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct DirectoryRecord {
    /// Of the whole record, even.
    pub(super) record_bytes: u8,
    /// 0: no extended attribute record.
    pub(super) attribute_sectors: u8,
    /// First sector of the content; 0 where there is none.
    pub(super) extent: BothU32,
    /// Length of the content, or of this section of it.
    pub(super) data_bytes: BothU32,
    /// Modification time.
    pub(super) time: RecordTime,
    /// [`FLAG_DIRECTORY`], [`FLAG_MULTI_EXTENT`].
    pub(super) flags: u8,
    /// 0: not interleaved.
    pub(super) unit_sectors: u8,
    /// 0.
    pub(super) gap_sectors: u8,
    /// 1.
    pub(super) volume_sequence: BothU16,
    /// 1 to 221.
    pub(super) identifier_bytes: u8,
}

const _: () = assert!(size_of::<DirectoryRecord>() == 33);

/// A path table record without its identifier, which follows, with a zero behind
/// it where its length is odd (9.4).
pub(super) struct PathTableRecord {
    /// Of a directory.
    pub(super) identifier_bytes: u8,
    /// 0: no extended attribute record.
    pub(super) attribute_sectors: u8,
    /// First sector of the directory.
    pub(super) extent: u32,
    /// Number of the parent in this table, from 1 on; the root's is its own.
    pub(super) parent: u16,
}

impl PathTableRecord {
    pub(super) const BYTES: usize = 8;

    /// The record in a table of this byte order.
    pub(super) fn encode(&self, order: ByteOrder) -> [u8; Self::BYTES] {
        let mut record = [0; Self::BYTES];
        let [identifier_bytes, attribute_sectors, extent @ .., high, low] = &mut record;
        *identifier_bytes = self.identifier_bytes;
        *attribute_sectors = self.attribute_sectors;
        (*extent, [*high, *low]) = match order {
            ByteOrder::Little => (self.extent.to_le_bytes(), self.parent.to_le_bytes()),
            ByteOrder::Big => (self.extent.to_be_bytes(), self.parent.to_be_bytes()),
        };
        record
    }

    /// What a table of one byte order has there.
    pub(super) fn decode(record: [u8; Self::BYTES], order: ByteOrder) -> Self {
        let [identifier_bytes, attribute_sectors, extent @ .., high, low] = record;
        let (extent, parent) = match order {
            ByteOrder::Little => (u32::from_le_bytes(extent), u16::from_le_bytes([high, low])),
            ByteOrder::Big => (u32::from_be_bytes(extent), u16::from_be_bytes([high, low])),
        };
        Self { identifier_bytes, attribute_sectors, extent, parent }
    }
}

/// The byte order of a path table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// Start of every system use field (SUSP 4.1).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct FieldHeader {
    /// Two letters.
    pub(super) signature: [u8; 2],
    /// Of the whole field.
    pub(super) field_bytes: u8,
    /// 1.
    pub(super) version: u8,
}

/// Largest system use field.
pub(super) const FIELD_MAX_BYTES: usize = 255;

/// `SP`, the first field of the root's `.` (SUSP 5.3): SUSP is in use, and every
/// field starts at the start of its area.
pub(super) const SP: [u8; 7] = [b'S', b'P', 7, 1, 0xbe, 0xef, 0];

/// A whole `CE` field: where the fields go on (SUSP 5.1).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Continuation {
    /// `CE`, and the length of this field.
    pub(super) header: FieldHeader,
    /// Sector.
    pub(super) sector: BothU32,
    /// Offset in it.
    pub(super) offset_bytes: BothU32,
    /// Length of the area.
    pub(super) area_bytes: BothU32,
}

impl Continuation {
    pub(super) const BYTES: usize = size_of::<Self>();

    /// Sector, offset and length, which are all that stands behind the header.
    pub(super) fn parts(payload: &[u8]) -> Option<[BothU32; 3]> {
        <[BothU32; 3]>::read_from_prefix(payload).ok().map(|(parts, _)| parts)
    }

    pub(super) fn new([sector, offset_bytes, area_bytes]: [u32; 3]) -> Self {
        Self {
            header: FieldHeader { signature: *b"CE", field_bytes: 28, version: 1 },
            sector: BothU32::new(sector),
            offset_bytes: BothU32::new(offset_bytes),
            area_bytes: BothU32::new(area_bytes),
        }
    }
}

const _: () = assert!(Continuation::BYTES == 28);

/// `ER` behind its header (SUSP 5.5) with the texts that RRIP 1.12 prescribes for
/// itself.
pub(super) const ER_ID: &[u8] = b"IEEE_P1282";
pub(super) const ER_DESCRIPTOR: &[u8] =
    b"THE IEEE P1282 PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
pub(super) const ER_SOURCE: &[u8] = b"PLEASE CONTACT THE IEEE STANDARDS DEPARTMENT, \
    PISCATAWAY, NJ, USA FOR THE P1282 SPECIFICATION";

/// `PX` behind its header: POSIX attributes (RRIP 4.1.1).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct PosixAttributes {
    /// Type and permissions, as in `st_mode`.
    pub(super) mode: BothU32,
    /// Link count.
    pub(super) links: BothU32,
    /// Owner.
    pub(super) uid: BothU32,
    /// Group.
    pub(super) gid: BothU32,
    /// One number for all links of one file, and for no other.
    pub(super) serial: BothU32,
}

/// `PN` behind its header: a device's number (RRIP 4.1.2).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct DeviceNumber {
    /// 0, or the major number.
    pub(super) high: BothU32,
    /// The whole number, or the minor one.
    pub(super) low: BothU32,
}

/// `TF` behind its header: times (RRIP 4.1.6).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct TimeStamps {
    /// [`TF_MODIFY`].
    pub(super) flags: u8,
    /// Modification time.
    pub(super) modify: RecordTime,
}

/// The creation time is there; it comes before the modification time.
pub(super) const TF_CREATION: u8 = 0x01;
/// The modification time is there.
pub(super) const TF_MODIFY: u8 = 0x02;
/// The times are [`VolumeTime`]s, not [`RecordTime`]s.
pub(super) const TF_LONG: u8 = 0x80;

/// Bytes of `PX` behind its header before RRIP 1.12, which added the serial number.
pub(super) const PX_SHORT_BYTES: usize = 32;

/// Identifiers of Rock Ridge in `ER` (RRIP 1.09 4.3, RRIP 1.12 4.3, and what libisofs takes).
pub(super) const ROCK_RIDGE_IDS: [&[u8]; 3] = [b"RRIP_1991A", ER_ID, b"IEEE_1282"];

/// `ZF` behind its header: the content is compressed in blocks (zisofs, as Linux reads it).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Compressed {
    /// `pz` for zlib, `PZ` for what zisofs 2 adds.
    pub(super) algorithm: [u8; 2],
    /// Of the header in front of the content, in units of 4 bytes.
    pub(super) header_words: u8,
    /// Of a block's size the logarithm.
    pub(super) block_bits: u8,
    /// Length of the content as it is read.
    pub(super) plain_bytes: BothU32,
}

/// Check bytes of `SP` (SUSP 5.3).
pub(super) const SP_CHECK: [u8; 2] = [0xbe, 0xef];
/// Where `SP` stands on discs of CD-ROM XA, whose own system use comes before it.
pub(super) const XA_BYTES: usize = 14;

/// Flags of `NM`, `SL` and the components of `SL` (RRIP 4.1.3, 4.1.4).
pub(super) const CONTINUES: u8 = 0x01;
pub(super) const COMPONENT_CURRENT: u8 = 0x02;
pub(super) const COMPONENT_PARENT: u8 = 0x04;
pub(super) const COMPONENT_ROOT: u8 = 0x08;
