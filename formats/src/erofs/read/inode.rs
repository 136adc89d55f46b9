//! Inodes, compact and extended (`erofs_read_inode` of Linux).

use super::metadata::Metadata;
use super::superblock::{Volume, time};
use super::{corrupt, out_of_range, unsupported};
use crate::content::Buffer;
use crate::erofs::format::{
    CHUNK_48BIT, CHUNK_BASED, CHUNK_BITS, CHUNK_INDEXES, COMPRESSED_COMPACT, COMPRESSED_FULL,
    ChunkIndex, CompactInode, ExtendedInode, FLAT_INLINE, FLAT_PLAIN, SLOT_BYTES, XattrHeader,
};
use crate::error::Result;
use crate::read::{NodeKind, Stat};
use crate::tree::{Device, Mode};
use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

/// An inode, as far as its record tells.
pub(super) struct Inode {
    pub(super) nid: u64,
    pub(super) stat: Stat,
    /// Where the record begins.
    pub(super) offset_bytes: u64,
    /// Length of the record.
    pub(super) record_bytes: u64,
    /// Length of the xattrs, which follow the record.
    pub(super) xattr_bytes: u64,
    pub(super) layout: Layout,
    /// What tells where the content is, or a device's number.
    pub(super) place: u32,
    /// The number of 32 bits that `stat` may show.
    pub(super) number: u32,
}

/// Which record it is.
enum Record {
    Compact(CompactInode),
    Extended(ExtendedInode),
}

/// Where the content is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    /// There is none, or none with an address.
    None,
    /// In blocks from this one on; with `is_inline` the last, unfull one stands behind the
    /// xattrs.
    Flat { start_block: u32, is_inline: bool },
    /// In chunks of 2^`bits` bytes, whose addresses stand behind the xattrs.
    Chunks { bits: u32, has_indexes: bool },
    /// Compressed.
    Compressed,
}

impl Layout {
    /// Length of a chunk's address.
    pub(super) fn address_bytes(has_indexes: bool) -> u64 {
        if has_indexes { size_of::<ChunkIndex>() as u64 } else { size_of::<U32>() as u64 }
    }
}

/// What both records say, in the wider form.
struct Fields {
    format: u16,
    xattr_units: u16,
    mode: u16,
    links: u32,
    size_bytes: u64,
    /// A block address, a device's number, or how chunks are told.
    place: u32,
    number: u32,
    uid: u32,
    gid: u32,
    mtime_seconds: i64,
    mtime_nanoseconds: u32,
}

/// Bits of `format` besides the form and the layout are of inodes of 48-bit images.
const FORMAT_BITS: u16 = 0xf;
/// The longest file of Linux (`MAX_LFS_FILESIZE`).
const SIZE_MAX_BYTES: u64 = i64::MAX.cast_unsigned();

impl Inode {
    pub(super) fn read(metadata: &Metadata, volume: &Volume, nid: u64) -> Result<Self> {
        // An inode may lie before the block from which nids count: mkfs.erofs 1.9 makes such
        // images, and Linux counts modulo 2^64 (`erofs_iloc`). Of the nids that are then one
        // place only the smallest is taken.
        let start_bytes = volume.block_offset(volume.record.meta_block.get());
        let offset_bytes = nid
            .checked_mul(SLOT_BYTES as u64)
            .map(|slot| start_bytes.wrapping_add(slot))
            .filter(|offset| metadata.check_range(*offset, SLOT_BYTES as u64).is_ok())
            .ok_or_else(|| out_of_range(nid))?;
        let record = Record::read(metadata, offset_bytes)?;
        let fields = record.fields(volume);
        if fields.format & !FORMAT_BITS != 0 {
            let message = format!("inode {nid} is in an unknown form: {:#x}", fields.format);
            return Err(unsupported(message));
        }
        let kind = kind(&fields, nid)?;
        let mtime = time(fields.mtime_seconds, fields.mtime_nanoseconds, &format!("inode {nid}"))?;
        let size_bytes = fields.size_bytes;
        if size_bytes > SIZE_MAX_BYTES {
            let message = format!("inode {nid}: a size of {size_bytes} bytes, which no file has");
            return Err(corrupt(message));
        }
        let layout = layout(&fields, kind, volume, nid)?;
        Ok(Self {
            nid,
            stat: Stat {
                kind,
                mode: Mode::of_st_mode(fields.mode.into()),
                uid: fields.uid,
                gid: fields.gid,
                mtime,
                links: fields.links,
                size_bytes,
                number: nid,
            },
            offset_bytes,
            record_bytes: record.length_bytes(),
            xattr_bytes: xattr_bytes(fields.xattr_units),
            layout,
            place: fields.place,
            number: fields.number,
        })
    }

    /// Where what follows the xattrs begins: the tail, or what tells where the content is.
    pub(super) fn end_bytes(&self) -> u64 {
        // An offset in the image and less than 512 KiB.
        self.offset_bytes.saturating_add(self.record_bytes).saturating_add(self.xattr_bytes)
    }

    /// Whether content that begins at this byte of the image is what stands behind the xattrs.
    pub(super) fn is_tail(&self, image_offset_bytes: u64) -> bool {
        let is_inline = matches!(self.layout, Layout::Flat { is_inline: true, .. });
        is_inline && image_offset_bytes == self.end_bytes()
    }
}

impl Record {
    fn read(metadata: &Metadata, offset_bytes: u64) -> Result<Self> {
        // Both have the form in their first bytes, and the short one ends in the image for sure.
        let mut bytes = Buffer::zeroed(size_of::<ExtendedInode>());
        let (start, rest) = bytes.split_at_mut(size_of::<CompactInode>());
        metadata.read(offset_bytes, start)?;
        let record = if start.first().is_some_and(|byte| byte & 1 == 1) {
            metadata.read(offset_bytes.saturating_add(start.len() as u64), rest)?;
            ExtendedInode::read_from_bytes(&bytes).map(Self::Extended).ok()
        } else {
            CompactInode::read_from_bytes(start).map(Self::Compact).ok()
        };
        record.ok_or_else(|| corrupt("an inode is cut off"))
    }

    fn length_bytes(&self) -> u64 {
        match self {
            Self::Compact(_) => size_of::<CompactInode>() as u64,
            Self::Extended(_) => size_of::<ExtendedInode>() as u64,
        }
    }

    fn fields(&self, volume: &Volume) -> Fields {
        match self {
            Self::Compact(record) => Fields {
                format: record.format.get(),
                xattr_units: record.xattr_units.get(),
                mode: record.mode.get(),
                links: record.links.get().into(),
                size_bytes: record.size.get().into(),
                place: record.start_block_or_device.get(),
                number: record.number.get(),
                uid: record.uid.get().into(),
                gid: record.gid.get().into(),
                // Zero but with 48 bits, and counted by Linux 6.15 and later all the same.
                mtime_seconds: volume.epoch.later_by(record.reserved.get()).seconds(),
                mtime_nanoseconds: volume.epoch.nanoseconds(),
            },
            Self::Extended(record) => Fields {
                format: record.format.get(),
                xattr_units: record.xattr_units.get(),
                mode: record.mode.get(),
                links: record.links.get(),
                size_bytes: record.size.get(),
                place: record.start_block_or_device.get(),
                number: record.number.get(),
                uid: record.uid.get(),
                gid: record.gid.get(),
                mtime_seconds: record.mtime_seconds.get().cast_signed(),
                mtime_nanoseconds: record.mtime_nanoseconds.get(),
            },
        }
    }
}

/// Length of what `xattr_units` counts (`erofs_xattr_ibody_size`).
fn xattr_bytes(units: u16) -> u64 {
    match units {
        0 => 0,
        units => size_of::<XattrHeader>() as u64 + 4 * u64::from(units - 1),
    }
}

fn kind(fields: &Fields, nid: u64) -> Result<NodeKind> {
    let device = Device::decode(fields.place);
    Ok(match fields.mode >> 12 {
        0o01 => NodeKind::Fifo,
        0o02 => NodeKind::CharDevice(device),
        0o04 => NodeKind::Directory,
        0o06 => NodeKind::BlockDevice(device),
        0o10 => NodeKind::File,
        0o12 => NodeKind::Symlink,
        0o14 => NodeKind::Socket,
        other => {
            let message = format!("inode {nid}: mode: {other:#o} is not the type of any file");
            return Err(corrupt(message));
        }
    })
}

fn layout(fields: &Fields, kind: NodeKind, volume: &Volume, nid: u64) -> Result<Layout> {
    let layout = fields.format >> 1;
    match kind {
        NodeKind::Directory | NodeKind::File | NodeKind::Symlink => {}
        NodeKind::CharDevice(_) | NodeKind::BlockDevice(_) | NodeKind::Fifo | NodeKind::Socket => {
            return Ok(Layout::None);
        }
    }
    match layout {
        FLAT_PLAIN | FLAT_INLINE => {
            Ok(Layout::Flat { start_block: fields.place, is_inline: layout == FLAT_INLINE })
        }
        COMPRESSED_FULL | COMPRESSED_COMPACT => Ok(Layout::Compressed),
        CHUNK_BASED => {
            // The lower 16 bits; the others are zero.
            let format = u16::try_from(fields.place & 0xffff).unwrap_or_default();
            if format & CHUNK_48BIT != 0 {
                let message =
                    format!("inode {nid} has chunks with addresses of 48 bits, which are not read");
                return Err(unsupported(message));
            }
            if format & !(CHUNK_BITS | CHUNK_INDEXES) != 0 {
                let message = format!("inode {nid} has chunks in an unknown form: {format:#x}");
                return Err(unsupported(message));
            }
            let bits = u32::from(volume.block_bits) + u32::from(format & CHUNK_BITS);
            Ok(Layout::Chunks { bits, has_indexes: format & CHUNK_INDEXES != 0 })
        }
        other => Err(unsupported(format!("inode {nid} has data in the unknown layout {other}"))),
    }
}
