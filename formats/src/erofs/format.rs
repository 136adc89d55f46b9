//! On-disk records of EROFS, little endian, as defined by the kernel's
//! `fs/erofs/erofs_fs.h` (dual licensed; format version of Linux 5.4 and later).

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::compress::Compressor;

/// Block size in bytes. 4096 is what every kernel since 5.4 mounts where its
/// pages are of 4 KiB; other sizes need Linux 6.4, and blkid 2.42.4 does not
/// find checksummed images of 512- or 1024-byte blocks.
pub const BLOCK_BYTES: usize = 4096;
/// log2 of [`BLOCK_BYTES`].
pub(super) const BLOCK_BITS: u8 = 12;
/// The superblock's byte offset (`EROFS_SUPER_OFFSET`).
pub const SUPER_OFFSET_BYTES: usize = 1024;
/// Inodes start on multiples of this; a nid counts these slots.
pub(super) const SLOT_BYTES: usize = 32;
/// `EROFS_SUPER_MAGIC_V1`.
pub const MAGIC: u32 = 0xe0f5_e1e2;

/// The superblock carries a crc32c of its block.
pub const COMPAT_SB_CHKSUM: u32 = 0x1;
/// Times are modification times, not change times.
pub const COMPAT_MTIME: u32 = 0x2;

/// Compatible features by the names that dump.erofs has for them (erofs-utils 1.9).
pub(super) const COMPAT_NAMES: [(u32, &str); 6] = [
    (COMPAT_SB_CHKSUM, "sb_csum"),
    (COMPAT_MTIME, "mtime"),
    (COMPAT_XATTR_FILTER, "xattr_filter"),
    (0x8, "shared_ea_in_metabox"),
    (COMPAT_PLAIN_PREFIXES, "plain_xattr_pfx"),
    (0x20, "ishare_xattrs"),
];
/// Headers of extended attributes have a filter of their names, for Linux 6.6.
pub(super) const COMPAT_XATTR_FILTER: u32 = 0x4;
/// Long xattr name prefixes stand in the image itself, whether or not there is a packed inode.
pub(super) const COMPAT_PLAIN_PREFIXES: u32 = 0x10;

/// LZ4 data ends with its block.
pub(super) const INCOMPAT_ZERO_PADDING: u32 = 0x1;
/// A record for each compressor follows the superblock.
pub(super) const INCOMPAT_COMPRESSION_RECORDS: u32 = 0x2;
/// Files in chunks.
pub(super) const INCOMPAT_CHUNKED_FILE: u32 = 0x4;
/// Further devices, or two compressors in one file.
pub(super) const INCOMPAT_DEVICE_TABLE: u32 = 0x8;
/// The ends of compressed files behind their inodes.
pub(super) const INCOMPAT_TAIL_PACKING: u32 = 0x10;
/// Ends of files together in the packed inode.
pub(super) const INCOMPAT_FRAGMENTS: u32 = 0x20;
/// Long xattr name prefixes.
pub(super) const INCOMPAT_XATTR_PREFIXES: u32 = 0x40;
/// Addresses of 48 bits, and inodes in other forms.
pub(super) const INCOMPAT_48BIT: u32 = 0x80;
/// Compressed metadata.
pub(super) const INCOMPAT_METABOX: u32 = 0x100;
/// Incompatible features by the names that dump.erofs has for them (erofs-utils 1.9).
pub(super) const INCOMPAT_NAMES: [(u32, &str); 11] = [
    (INCOMPAT_ZERO_PADDING, "lz4_0padding"),
    (INCOMPAT_COMPRESSION_RECORDS, "compr_cfgs"),
    (INCOMPAT_COMPRESSION_RECORDS, "big_pcluster"),
    (INCOMPAT_CHUNKED_FILE, "chunked_file"),
    (INCOMPAT_DEVICE_TABLE, "device_table"),
    (INCOMPAT_TAIL_PACKING, "ztailpacking"),
    (INCOMPAT_FRAGMENTS, "fragments"),
    (INCOMPAT_FRAGMENTS, "dedupe"),
    (INCOMPAT_XATTR_PREFIXES, "xattr_prefixes"),
    (INCOMPAT_48BIT, "48bit"),
    (INCOMPAT_METABOX, "metabox"),
];
/// Compressors by their numbers (`Z_EROFS_COMPRESSION_*`).
pub(super) const COMPRESSORS: [&str; 4] = [
    Compressor::Lz4.name(),
    Compressor::Lzma.name(),
    Compressor::Deflate.name(),
    Compressor::Zstd.name(),
];

/// Data layout 0: all data in blocks of its own.
pub(super) const FLAT_PLAIN: u16 = 0;
/// Data layout 1: compressed, each block with an index of its own.
pub(super) const COMPRESSED_FULL: u16 = 1;
/// Data layout 2: full blocks, and a tail right behind the inode and its xattrs.
pub(super) const FLAT_INLINE: u16 = 2;
/// Data layout 3: compressed, with compact indexes.
pub(super) const COMPRESSED_COMPACT: u16 = 3;
/// Data layout 4: in chunks, whose addresses follow the inode and its xattrs.
pub(super) const CHUNK_BASED: u16 = 4;

/// The first block of data that is a hole as a whole, of a flat file or a chunk
/// (`EROFS_NULL_ADDR` in 32 bits).
pub(super) const NULL_BLOCK: u32 = u32::MAX;
/// log2 of a chunk's size over a block's (`EROFS_CHUNK_FORMAT_BLKBITS_MASK`).
pub(super) const CHUNK_BITS: u16 = 0x1f;
/// Chunks have a [`ChunkIndex`] each, not only a block address.
pub(super) const CHUNK_INDEXES: u16 = 0x20;
/// Addresses of chunks have 48 bits.
pub(super) const CHUNK_48BIT: u16 = 0x40;

/// The superblock, 128 bytes at byte 1024.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone)]
#[repr(C)]
pub struct SuperBlock {
    /// [`MAGIC`].
    pub magic: U32,
    /// crc32c (see [`checksum`]) where [`COMPAT_SB_CHKSUM`] is set.
    pub checksum: U32,
    /// Features that a reader may ignore.
    pub feature_compat: U32,
    /// log2 of the block size: 9 to 16.
    pub block_bits: u8,
    /// 16-byte extensions of the superblock: 0.
    pub extension_slots: u8,
    /// nid of the root directory; 16 bits only.
    pub root_nid: U16,

    /// How many inodes there are, for `statfs` alone; see [`inode_count`].
    pub inodes: U64,
    /// Time of every compact inode, seconds since 1970, two's complement.
    pub build_time_seconds: U64,

    /// Its nanoseconds: 0 to 999,999,999.
    pub build_time_nanoseconds: U32,
    /// Size of the image in blocks.
    pub blocks: U32,
    /// Block from which nids count.
    pub meta_block: U32,
    /// Block of the shared xattrs: 0, none are shared.
    pub xattr_block: U32,

    /// Volume UUID, bytes in the order of its text form.
    pub uuid: [u8; 16],

    /// Volume label, padded with NUL; at most 15 bytes by the reference tools.
    pub volume_name: [u8; 16],

    /// Features that a reader must know: 0 here, so Linux 5.4 mounts the image.
    pub feature_incompat: U32,
    /// Compression: 0.
    pub compression: U16,
    /// Further devices: 0.
    pub extra_devices: U16,
    /// Device table: 0.
    pub device_table_slot: U16,
    /// log2 of directory block size over block size: 0.
    pub directory_block_bits: u8,
    /// Long xattr name prefixes: 0.
    pub xattr_prefix_count: u8,
    /// Their place: 0.
    pub xattr_prefix_start: U32,

    /// nid of the packed inode: 0.
    pub packed_nid: U64,
    /// Xattr name filter: 0.
    pub xattr_filter: u8,
    /// Which long xattr name prefix marks attributes that page caches are shared by: 0.
    pub ishare_prefix: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// Seconds from the time of compact inodes to that of the image: 0.
    pub build_time_offset_seconds: U32,

    /// nid of the root with `INCOMPAT_48BIT`: 0.
    pub root_nid_48bit: U64,
    /// Zero.
    pub reserved2: U64,
}

/// One of the superblock's extension slots has this length.
pub(super) const EXTENSION_SLOT_BYTES: usize = 16;

/// 32-byte inode, for 16-bit ids and link counts, sizes below 4 GiB and the
/// image's own time.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct CompactInode {
    /// Bit 0: 0 for this form; bits 1 to 3: data layout.
    pub(super) format: U16,
    /// 0 for none, else 1 and the number of 4-byte units behind the 12-byte header.
    pub(super) xattr_units: U16,
    /// File type and permissions as in `st_mode`.
    pub(super) mode: U16,
    /// Link count.
    pub(super) links: U16,
    /// Length in bytes.
    pub(super) size: U32,
    /// Zero.
    pub(super) reserved: U32,

    /// First data block, 0 where there is none; of a device its number.
    pub(super) start_block_or_device: U32,
    /// Inode number for 32-bit `stat` only.
    pub(super) number: U32,
    /// Owner.
    pub(super) uid: U16,
    /// Group.
    pub(super) gid: U16,
    /// Zero.
    pub(super) reserved2: U32,
}

/// 64-byte inode, for everything.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct ExtendedInode {
    /// Bit 0: 1 for this form; bits 1 to 3: data layout.
    pub(super) format: U16,
    /// 0 for none, else 1 and the number of 4-byte units behind the 12-byte header.
    pub(super) xattr_units: U16,
    /// File type and permissions as in `st_mode`.
    pub(super) mode: U16,
    /// Zero.
    pub(super) reserved: U16,
    /// Length in bytes.
    pub(super) size: U64,

    /// First data block, 0 where there is none; of a device its number.
    pub(super) start_block_or_device: U32,
    /// Inode number for 32-bit `stat` only.
    pub(super) number: U32,
    /// Owner.
    pub(super) uid: U32,
    /// Group.
    pub(super) gid: U32,

    /// Seconds since 1970, two's complement.
    pub(super) mtime_seconds: U64,
    /// 0 to 999,999,999.
    pub(super) mtime_nanoseconds: U32,
    /// Link count.
    pub(super) links: U32,

    /// Zero.
    pub(super) reserved2: [u8; 16],
}

/// Header of an inode's inline xattrs.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct XattrHeader {
    /// Zero: the filter feature is off.
    pub(super) name_filter: U32,
    /// Shared xattrs: 0.
    pub(super) shared_count: u8,
    /// Zero.
    pub(super) reserved: [u8; 7],
}

/// One xattr; name suffix and value follow, padded to 4 bytes.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct XattrEntry {
    /// Length of the name without its prefix.
    pub(super) name_length: u8,
    /// Which prefix: see [`XATTR_PREFIXES`].
    pub(super) name_index: u8,
    /// Length of the value.
    pub(super) value_size: U16,
}

/// Name prefixes and their index; the two ACL names are whole.
pub(super) const XATTR_PREFIXES: [(&[u8], u8); 5] = [
    (b"user.", 1),
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"trusted.", 4),
    (b"security.", 6),
];

/// An entry's `name_index` with this bit is the number of a long prefix.
pub(super) const LONG_PREFIX: u8 = 0x80;
/// The largest of the other indexes; of these 5 and 0 are none that Linux shows.
pub(super) const XATTR_INDEX_MAX: u8 = 6;

/// Where one chunk of a file is.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct ChunkIndex {
    /// The address's upper 16 bits with [`CHUNK_48BIT`], else zero.
    pub(super) start_block_high: U16,
    /// Which device: 0.
    pub(super) device: U16,
    /// First block, or [`NULL_BLOCK`].
    pub(super) start_block: U32,
}

/// What tells how a file is compressed, at the next multiple of 8 bytes behind its inode and
/// xattrs.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct CompressionHeader {
    /// Where the file's end is in the packed inode, or how long it is in the inode.
    pub(super) fragment: U32,
    /// Which of the features this file uses.
    pub(super) advise: U16,
    /// Two of [`COMPRESSORS`], 4 bits each.
    pub(super) algorithms: u8,
    /// With [`IN_PACKED_INODE`] the whole file is in the packed inode.
    pub(super) cluster_bits: u8,
}

/// See [`CompressionHeader::cluster_bits`].
pub(super) const IN_PACKED_INODE: u8 = 0x80;

/// One directory entry; the names follow behind the last entry of the block.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct DirectoryEntry {
    /// The inode's nid.
    pub(super) nid: U64,
    /// Where the name starts in this block; the first entry's tells how many entries there are.
    pub(super) name_offset: U16,
    /// See [`FileType`].
    pub(super) file_type: u8,
    /// Zero.
    pub(super) reserved: u8,
}

/// File type of a directory entry (`FT_*` of Linux).
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum FileType {
    Regular = 1,
    Directory = 2,
    CharDevice = 3,
    BlockDevice = 4,
    Fifo = 5,
    Socket = 6,
    Symlink = 7,
}

const _: () = {
    assert!(size_of::<SuperBlock>() == 128);
    assert!(size_of::<CompactInode>() == 32);
    assert!(size_of::<ExtendedInode>() == 64);
    assert!(size_of::<XattrHeader>() == 12);
    assert!(size_of::<XattrEntry>() == 4);
    assert!(size_of::<ChunkIndex>() == 8);
    assert!(size_of::<CompressionHeader>() == 8);
    assert!(size_of::<DirectoryEntry>() == 12);
};

/// The number to write into [`SuperBlock::inodes`] where there are so many inodes. Its low 16
/// bits lie where the first MINIX file system has its magic, of either byte order, and
/// libblkid up to 2.42.3 then takes the image for one of that kind: it tells no label. As
/// the number only shows up in `df -i`, one inode more, which no directory names, does no harm.
pub fn inode_count(inodes: u64) -> u64 {
    const MINIX_MAGICS: [u64; 4] = [0x137f, 0x138f, 0x7f13, 0x8f13];
    let is_magic = MINIX_MAGICS.contains(&(inodes & 0xffff));
    if is_magic { inodes + 1 } else { inodes }
}

/// Whether libblkid may take an image with this UUID for ext2: its ninth and tenth byte lie
/// where ext2 has its magic. No UUID of RFC 9562 has such a ninth byte.
pub fn is_mistaken_for_ext2(uuid: &[u8; 16]) -> bool {
    let [.., ninth, tenth, _, _, _, _, _, _] = uuid;
    [*ninth, *tenth] == [0x53, 0xef]
}

/// crc32c as the superblock wants it: seed all ones, not inverted at the end,
/// over the bytes from the superblock to the end of its block, with the
/// checksum field zero.
pub fn checksum(block_from_super: &[u8]) -> u32 {
    const PLAIN: crc::Algorithm<u32> = crc::Algorithm { xorout: 0, ..crc::CRC_32_ISCSI };
    // Its tables are made by the compiler. Sixteen of them take a quarter of the time of one.
    static CRC: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&PLAIN);
    CRC.checksum(block_from_super)
}
