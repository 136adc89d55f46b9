//! On-disk records of SquashFS 4.0, little endian, as the kernel's
//! `fs/squashfs/squashfs_fs.h` reads them.

use zerocopy::little_endian::{I16, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `SQUASHFS_MAGIC`: "hsqs".
pub const MAGIC: u32 = 0x7371_7368;
/// The one version that Linux mounts since 2.6.29.
pub const VERSION: (u16, u16) = (4, 0);

/// Images are padded to this, so that any device block size divides them.
pub(super) const PAD_BYTES: u64 = 4096;
/// Metadata is cut into blocks of this size before compression (`SQUASHFS_METADATA_SIZE`).
pub(super) const METADATA_BYTES: usize = 8192;
/// Set in a metadata block's header where the block is stored as it is.
pub(super) const METADATA_RAW: u16 = 1 << 15;
/// Set in a data block's size where the block is stored as it is.
pub(super) const BLOCK_RAW: u32 = 1 << 24;
/// An xattr table that is absent (`SQUASHFS_INVALID_BLK`).
pub(super) const NO_TABLE: u64 = u64::MAX;
/// An inode without a fragment (`SQUASHFS_INVALID_FRAG`).
pub(super) const NO_FRAGMENT: u32 = u32::MAX;
/// An inode without extended attributes (`SQUASHFS_INVALID_XATTR`).
pub(super) const NO_XATTRS: u32 = u32::MAX;
/// Most entries behind one directory header (`SQUASHFS_DIR_COUNT`).
pub(super) const RUN_ENTRIES_MAX: usize = 256;
/// A directory's size counts `.` and `..`, which are not stored, with this much.
pub(super) const DOTS_BYTES: u32 = 3;
/// Most different owners and groups: the superblock's 16-bit count of 65,536 would read 0.
pub(super) const IDS_MAX: usize = 65_535;

/// Smallest and largest data block.
pub(super) const BLOCK_BYTES: std::ops::RangeInclusive<u32> = 4096..=1 << 20;
/// Bits of a data block's size that hold its stored length.
pub(super) const BLOCK_LENGTH: u32 = BLOCK_RAW - 1;

/// Bits of [`SuperBlock::flags`].
pub(super) mod flags {
    pub(crate) const RAW_INODES: u16 = 0x0001;
    pub(crate) const RAW_DATA: u16 = 0x0002;
    pub(crate) const RAW_FRAGMENTS: u16 = 0x0008;
    pub(crate) const NO_FRAGMENTS: u16 = 0x0010;
    /// The ends of files of more than a block are in fragments, too.
    pub(crate) const ALWAYS_FRAGMENTS: u16 = 0x0020;
    pub(crate) const DUPLICATES_SHARED: u16 = 0x0040;
    pub(crate) const EXPORTABLE: u16 = 0x0080;
    pub(crate) const RAW_XATTRS: u16 = 0x0100;
    pub(crate) const NO_XATTRS: u16 = 0x0200;
    pub(crate) const COMPRESSOR_OPTIONS: u16 = 0x0400;
    pub(crate) const RAW_IDS: u16 = 0x0800;
}

/// The superblock, 96 bytes at byte 0. Positions count from the image's first byte.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone)]
#[repr(C)]
pub struct SuperBlock {
    /// [`MAGIC`].
    pub magic: U32,
    /// How many inodes there are; their numbers are 1 to this.
    pub inodes: U32,
    /// Build time, seconds since 1970, unsigned.
    pub build_time_seconds: U32,
    /// 4096 to 1,048,576, a power of two.
    pub block_bytes: U32,

    /// Entries of the fragment table.
    pub fragments: U32,
    /// 1 gzip (zlib), 2 lzma, 3 lzo, 4 xz, 5 lz4, 6 zstd.
    pub compressor: U16,
    /// log2 of the block size.
    pub block_bits: U16,
    /// What is stored raw, what is absent; a reader needs only to know of compressor options.
    pub flags: U16,
    /// Entries of the id table: 1 to 65,535.
    pub ids: U16,
    /// 4.
    pub version_major: U16,
    /// 0.
    pub version_minor: U16,

    /// The root's inode: its metadata block's place in the inode table << 16 | offset in the block.
    pub root: U64,
    /// Length of the image without its padding. Linux reads nothing behind it.
    pub used_bytes: U64,

    /// Id table: the list of its metadata blocks.
    pub id_table: U64,
    /// Xattr table: its head; all ones for none.
    pub xattr_table: U64,

    /// Start of the inodes.
    pub inode_table: U64,
    /// Start of the directory listings.
    pub directory_table: U64,

    /// Fragment table: the list of its metadata blocks; where the directories end for none.
    pub fragment_table: U64,
    /// Export table: the list of its metadata blocks; all ones for none.
    pub export_table: U64,
}

/// What every inode begins with.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct InodeHeader {
    /// An [`InodeType`], plus 7 for the extended form.
    pub(super) inode_type: U16,
    /// Permissions without the file type: 0 to 0o7777.
    pub(super) mode: U16,
    /// Owner, as an index into the id table.
    pub(super) uid_index: U16,
    /// Group, as an index into the id table.
    pub(super) gid_index: U16,

    /// Seconds since 1970, unsigned.
    pub(super) mtime_seconds: U32,
    /// 1 to the superblock's count.
    pub(super) number: U32,
}

/// Types of basic inodes; directory entries show them for extended ones, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum InodeType {
    Directory = 1,
    File = 2,
    Symlink = 3,
    BlockDevice = 4,
    CharDevice = 5,
    Fifo = 6,
    Socket = 7,
}

impl InodeType {
    /// The type of this number; none where there is none.
    pub(super) fn of(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Directory,
            2 => Self::File,
            3 => Self::Symlink,
            4 => Self::BlockDevice,
            5 => Self::CharDevice,
            6 => Self::Fifo,
            7 => Self::Socket,
            _ => return None,
        })
    }

    /// The file type in the mode, as Linux has it.
    pub(super) fn mode(self) -> u16 {
        match self {
            Self::Directory => 0o040_000,
            Self::File => 0o100_000,
            Self::Symlink => 0o120_000,
            Self::BlockDevice => 0o060_000,
            Self::CharDevice => 0o020_000,
            Self::Fifo => 0o010_000,
            Self::Socket => 0o140_000,
        }
    }
}

/// Added to an [`InodeType`] for the extended form.
pub(super) const EXTENDED: u16 = 7;

/// A directory with a listing below 64 KiB, without xattrs and index.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Directory {
    /// Metadata block of the listing, from the start of the directory table.
    pub(super) block: U32,
    /// 2 and one for each subdirectory.
    pub(super) links: U32,
    /// Length of the listing, uncompressed, plus [`DOTS_BYTES`].
    pub(super) size: U16,
    /// Where the listing starts in its metadata block.
    pub(super) offset: U16,
    /// Number of the parent's inode; the root's is one more than there are inodes.
    pub(super) parent: U32,
}

/// Any directory; `index_count` [`DirectoryIndex`] records follow.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct ExtendedDirectory {
    /// 2 and one for each subdirectory.
    pub(super) links: U32,
    /// Length of the listing, uncompressed, plus [`DOTS_BYTES`].
    pub(super) size: U32,
    /// Metadata block of the listing, from the start of the directory table.
    pub(super) block: U32,
    /// Number of the parent's inode; the root's is one more than there are inodes.
    pub(super) parent: U32,

    /// Records of the index.
    pub(super) index_count: U16,
    /// Where the listing starts in its metadata block.
    pub(super) offset: U16,
    /// Index into the xattr id table, or [`NO_XATTRS`].
    pub(super) xattrs: U32,
}

/// One record of a directory's index; the name of the entry behind the header follows.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct DirectoryIndex {
    /// Where in the listing a header stands.
    pub(super) listing_offset: U32,
    /// Metadata block in which that is, from the start of the directory table.
    pub(super) block: U32,
    /// Length of the name less one.
    pub(super) name_length_less_one: U32,
}

/// A file below 4 GiB that starts below 4 GiB, with one link, no hole and no
/// xattr; its block sizes follow.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct File {
    /// First block; 0 where there is none.
    pub(super) start: U32,
    /// Index into the fragment table, or [`NO_FRAGMENT`].
    pub(super) fragment: U32,
    /// Where in the fragment the content starts.
    pub(super) fragment_offset: U32,
    /// Length in bytes.
    pub(super) size: U32,
}

/// Any file; its block sizes follow.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct ExtendedFile {
    /// First block; 0 where there is none.
    pub(super) start: U64,
    /// Length in bytes.
    pub(super) size: U64,

    /// Bytes in blocks that are not stored as they are all zero.
    pub(super) sparse_bytes: U64,
    /// Link count.
    pub(super) links: U32,
    /// Index into the fragment table, or [`NO_FRAGMENT`].
    pub(super) fragment: U32,

    /// Where in the fragment the content starts.
    pub(super) fragment_offset: U32,
    /// Index into the xattr id table, or [`NO_XATTRS`].
    pub(super) xattrs: U32,
}

/// A symbolic link; the target follows, and in the extended form the xattr index.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Symlink {
    /// Link count.
    pub(super) links: U32,
    /// Length of the target.
    pub(super) size: U32,
}

/// A device; in the extended form the xattr index follows.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct DeviceNode {
    /// Link count.
    pub(super) links: U32,
    /// Number, packed into 32 bits.
    pub(super) device: U32,
}

/// Precedes a run of directory entries whose inodes share a metadata block.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct DirectoryHeader {
    /// Entries of the run less one: 0 to 255.
    pub(super) count_less_one: U32,
    /// Metadata block of the inodes, from the start of the inode table.
    pub(super) block: U32,
    /// Inode number from which the run's numbers count.
    pub(super) number: U32,
}

/// One directory entry; the name follows.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct DirectoryEntry {
    /// Where in its metadata block the inode starts.
    pub(super) offset: U16,
    /// The inode's number less the header's.
    pub(super) number_delta: I16,
    /// An [`InodeType`].
    pub(super) inode_type: U16,
    /// Length of the name less one.
    pub(super) name_length_less_one: U16,
}

/// One entry of the fragment table.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
pub(super) struct FragmentEntry {
    /// Where the fragment block starts.
    pub(super) start: U64,
    /// Its stored length, with [`BLOCK_RAW`].
    pub(super) size: U32,
    /// Zero.
    pub(super) reserved: U32,
}

/// One xattr; the name without its prefix follows, then the length of the value and that.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct XattrName {
    /// Which prefix (see [`XATTR_PREFIXES`]), with [`XATTR_ELSEWHERE`].
    pub(super) kind: U16,
    /// Length of the name without its prefix.
    pub(super) length: U16,
}

/// The value is that of another xattr: eight bytes say where its length stands.
pub(super) const XATTR_ELSEWHERE: u16 = 0x0100;

/// Name prefixes and their number.
pub(super) const XATTR_PREFIXES: [(&[u8], u16); 3] =
    [(b"user.", 0), (b"trusted.", 1), (b"security.", 2)];

/// One entry of the xattr id table: all xattrs of an inode, or of several.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct XattrId {
    /// Where they start, relative to the table's names and values.
    pub(super) position: U64,
    /// How many they are.
    pub(super) count: U32,
    /// Their length in bytes, uncompressed.
    pub(super) size: U32,
}

/// Head of the xattr table; the list of the metadata blocks of [`XattrId`] follows.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct XattrTable {
    /// Where names and values start.
    pub(super) start: U64,
    /// Entries of the xattr id table.
    pub(super) ids: U32,
    /// Zero.
    pub(super) reserved: U32,
}

const _: () = {
    assert!(size_of::<SuperBlock>() == 96);
    assert!(size_of::<InodeHeader>() == 16);
    assert!(size_of::<Directory>() == 16);
    assert!(size_of::<ExtendedDirectory>() == 24);
    assert!(size_of::<DirectoryIndex>() == 12);
    assert!(size_of::<File>() == 16);
    assert!(size_of::<ExtendedFile>() == 40);
    assert!(size_of::<Symlink>() == 8);
    assert!(size_of::<DeviceNode>() == 8);
    assert!(size_of::<DirectoryHeader>() == 12);
    assert!(size_of::<DirectoryEntry>() == 8);
    assert!(size_of::<FragmentEntry>() == 16);
    assert!(size_of::<XattrName>() == 4);
    assert!(size_of::<XattrId>() == 16);
    assert!(size_of::<XattrTable>() == 16);
};
