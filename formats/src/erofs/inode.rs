//! What an inode looks like on disk: its form, its size, where its data goes.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::directory::Entries;
use super::format::{BLOCK_BYTES, CompactInode, ExtendedInode, FLAT_INLINE, FLAT_PLAIN, FileType};
use super::xattr;
use crate::error::{Error, ErrorKind, Result, inconsistent};
use crate::tree::{Inode, InodeId, Kind, Mode, Timestamp};

const S_IFREG: u16 = 0o100_000;
const S_IFDIR: u16 = 0o040_000;
const S_IFLNK: u16 = 0o120_000;
const S_IFCHR: u16 = 0o020_000;
const S_IFBLK: u16 = 0o060_000;
const S_IFIFO: u16 = 0o010_000;
const S_IFSOCK: u16 = 0o140_000;

/// Everything about an inode that its place does not change. An image may have very many: the
/// fields are as narrow as their values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Length of the content.
    pub(super) size_bytes: u64,
    /// Whole blocks of content outside the inode.
    pub(super) data_blocks: u32,
    /// Of inodes with the same data blocks, the index of one; see [`shared`](super::shared).
    pub(super) shared_with: Option<u32>,
    header_bytes: u32,
    tail_bytes: u16,
    xattr_units: u16,
    is_compact: bool,
}

/// The narrow fields of the smaller record, checked here.
struct Compact {
    size: u32,
    links: u16,
    uid: u16,
    gid: u16,
}

impl Compact {
    /// None where one of them is too narrow.
    fn of(inode: &Inode, size_bytes: u64) -> Option<Self> {
        Some(Self {
            size: size_bytes.try_into().ok()?,
            links: inode.links().try_into().ok()?,
            uid: inode.metadata.uid.try_into().ok()?,
            gid: inode.metadata.gid.try_into().ok()?,
        })
    }
}

impl Shape {
    /// Finds the smallest form that holds the inode.
    pub(super) fn of(id: InodeId, inode: &Inode, build_time: Timestamp) -> Result<Self> {
        let metadata = &inode.metadata;
        xattr::check(inode.kind(), &metadata.xattrs)?;
        let size_bytes = match inode.kind() {
            Kind::File(content) => content.len(),
            Kind::Symlink(target) => target.len() as u64,
            Kind::Directory(entries) => Entries::new(entries, id, inode.parent()).content_bytes(),
            Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo | Kind::Socket => 0,
        };
        // A compact inode has no time of its own: readers show the image's.
        let is_compact = metadata.mtime == build_time && Compact::of(inode, size_bytes).is_some();
        let record_bytes =
            if is_compact { size_of::<CompactInode>() } else { size_of::<ExtendedInode>() };
        let (xattr_bytes, xattr_units) = xattr::measure(&metadata.xattrs)?;
        let header_bytes = record_bytes + xattr_bytes;

        // A tail is kept with its header in one block. The kernel asks that
        // much of symbolic links only (of others, that the tail itself does not
        // cross a boundary), but one rule for all is simpler.
        let too_large = |_| Error::new(ErrorKind::Limit, "a file is larger than 16 TiB");
        let full_blocks = u32::try_from(size_bytes / BLOCK_BYTES as u64).map_err(too_large)?;
        let remainder = usize::try_from(size_bytes % BLOCK_BYTES as u64).map_err(too_large)?;
        let is_inline = header_bytes + remainder <= BLOCK_BYTES;
        let tail_bytes = if is_inline { remainder } else { 0 };
        let own_last_block = u32::from(remainder > tail_bytes);
        Ok(Self {
            size_bytes,
            data_blocks: full_blocks.saturating_add(own_last_block),
            header_bytes: u32::try_from(header_bytes).map_err(too_large)?,
            tail_bytes: u16::try_from(tail_bytes).map_err(too_large)?,
            shared_with: None,
            xattr_units,
            is_compact,
        })
    }

    /// Inode record and xattrs.
    pub(super) fn header_bytes(&self) -> usize {
        self.header_bytes as usize
    }

    /// Content that sits right behind the header: 0 for none, less than a block.
    pub(super) fn tail_bytes(&self) -> usize {
        usize::from(self.tail_bytes)
    }

    /// Bytes of content in data blocks; the rest of the last block is zero.
    pub(super) fn data_bytes(&self) -> u64 {
        self.size_bytes - u64::from(self.tail_bytes)
    }

    /// Appends record and xattrs, `header_bytes` in all, to `out`.
    pub(super) fn append_header(
        &self,
        number: u32,
        inode: &Inode,
        start_block: u32,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let metadata = &inode.metadata;
        let layout = if self.tail_bytes > 0 { FLAT_INLINE } else { FLAT_PLAIN };
        let format = U16::new(layout << 1 | u16::from(!self.is_compact));
        let xattr_units = U16::new(self.xattr_units);
        let mode = U16::new(st_mode(inode));
        let start_block_or_device = U32::new(match inode.kind() {
            Kind::CharDevice(device) | Kind::BlockDevice(device) => device.encode(),
            Kind::File(_) | Kind::Directory(_) | Kind::Symlink(_) | Kind::Fifo | Kind::Socket => {
                start_block
            }
        });
        let number = U32::new(number);
        if self.is_compact {
            let Compact { size, links, uid, gid } =
                Compact::of(inode, self.size_bytes).ok_or_else(inconsistent)?;
            let record = CompactInode {
                format,
                xattr_units,
                mode,
                links: U16::new(links),
                size: U32::new(size),
                reserved: U32::ZERO,
                start_block_or_device,
                number,
                uid: U16::new(uid),
                gid: U16::new(gid),
                reserved2: U32::ZERO,
            };
            out.extend_from_slice(record.as_bytes());
        } else {
            let record = ExtendedInode {
                format,
                xattr_units,
                mode,
                reserved: U16::ZERO,
                size: U64::new(self.size_bytes),
                start_block_or_device,
                number,
                uid: U32::new(metadata.uid),
                gid: U32::new(metadata.gid),
                mtime_seconds: U64::new(metadata.mtime.seconds().cast_unsigned()),
                mtime_nanoseconds: U32::new(metadata.mtime.nanoseconds()),
                links: U32::new(inode.links()),
                reserved2: [0; 16],
            };
            out.extend_from_slice(record.as_bytes());
        }
        xattr::append(&metadata.xattrs, out)
    }
}

fn st_mode(inode: &Inode) -> u16 {
    let mode = inode.metadata.mode.bits();
    match inode.kind() {
        Kind::File(_) => S_IFREG | mode,
        Kind::Directory(_) => S_IFDIR | mode,
        Kind::Symlink(_) => S_IFLNK | Mode::SYMLINK.bits(),
        Kind::CharDevice(_) => S_IFCHR | mode,
        Kind::BlockDevice(_) => S_IFBLK | mode,
        Kind::Fifo => S_IFIFO | mode,
        Kind::Socket => S_IFSOCK | mode,
    }
}

/// The type that directory entries show.
pub(super) fn file_type(inode: &Inode) -> FileType {
    match inode.kind() {
        Kind::File(_) => FileType::Regular,
        Kind::Directory(_) => FileType::Directory,
        Kind::Symlink(_) => FileType::Symlink,
        Kind::CharDevice(_) => FileType::CharDevice,
        Kind::BlockDevice(_) => FileType::BlockDevice,
        Kind::Fifo => FileType::Fifo,
        Kind::Socket => FileType::Socket,
    }
}
