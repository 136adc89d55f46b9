//! Inodes, in their basic and their extended form.

use zerocopy::little_endian::U32;

use super::metadata::Cursor;
use super::{Reader, TARGET_MAX_BYTES, corrupt};
use crate::error::{Error, ErrorKind, Result};
use crate::read::{InodeRef, NodeKind, Stat};
use crate::squashfs::format::{
    DOTS_BYTES, DeviceNode, Directory, EXTENDED, ExtendedDirectory, ExtendedFile, File,
    InodeHeader, InodeType, NO_FRAGMENT, NO_XATTRS, Symlink,
};
use crate::tree::{Device, Mode, Timestamp};

/// An inode as it is stored, with its owners by their numbers.
pub(super) struct Inode {
    pub(super) header: InodeHeader,
    pub(super) mode: Mode,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    /// Index of its set of extended attributes.
    pub(super) xattrs: Option<u32>,
    pub(super) body: Body,
    /// What follows the record: sizes of blocks, a target, an index.
    pub(super) rest: Cursor,
}

/// What an inode says besides its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Directory(DirectoryBody),
    File(FileBody),
    Symlink { length: u32 },
    Special(NodeKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectoryBody {
    /// Metadata block of the listing, from the start of the directories.
    pub(super) block: u32,
    pub(super) offset: u16,
    /// Of the listing.
    pub(super) length: u32,
    /// Number of the parent's inode.
    pub(super) parent: u32,
    pub(super) index_count: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileBody {
    /// Where its first block is.
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) sparse_bytes: u64,
    /// Whose sizes follow the record.
    pub(super) blocks: u64,
    pub(super) fragment: Option<Fragment>,
}

/// Where the end of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) index: u32,
    pub(super) offset: u32,
}

impl Reader {
    /// Reads an inode, as `squashfs_read_inode` of Linux does.
    pub(super) fn inode(&self, inode: InodeRef) -> Result<Inode> {
        self.inode_at(Cursor::of(self.layout.inodes, inode.0))
    }

    /// Reads the inode at `cursor`.
    pub(super) fn inode_at(&self, mut cursor: Cursor) -> Result<Inode> {
        let header: InodeHeader = cursor.record(self)?;
        let stored = header.inode_type.get();
        let is_extended = stored > EXTENDED;
        let number = if is_extended { stored - EXTENDED } else { stored };
        let inode_type = InodeType::of(number).ok_or_else(|| {
            corrupt(format!("{}: bad type: expected 1 to 14, got {stored}", title(&header)))
        })?;
        let owner = |index: u16| {
            self.ids.get(usize::from(index)).copied().ok_or_else(|| {
                let count = self.ids.len();
                let title = title(&header);
                corrupt(format!("{title}: bad owner: expected less than {count}, got {index}"))
            })
        };
        let (uid, gid) = (owner(header.uid_index.get())?, owner(header.gid_index.get())?);
        let mut inode = Inode {
            mode: mode(&header, inode_type)?,
            uid,
            gid,
            links: 1,
            xattrs: None,
            body: Body::Special(NodeKind::Fifo),
            rest: cursor,
            header,
        };
        match (inode_type, is_extended) {
            (InodeType::Directory, false) => inode.directory(self)?,
            (InodeType::Directory, true) => inode.extended_directory(self)?,
            (InodeType::File, false) => inode.file(self)?,
            (InodeType::File, true) => inode.extended_file(self)?,
            (InodeType::Symlink, _) => inode.symlink(self, is_extended)?,
            (InodeType::BlockDevice, _) => {
                inode.device(self, is_extended, NodeKind::BlockDevice)?;
            }
            (InodeType::CharDevice, _) => inode.device(self, is_extended, NodeKind::CharDevice)?,
            (InodeType::Fifo, _) => inode.pipe(self, is_extended, NodeKind::Fifo)?,
            (InodeType::Socket, _) => inode.pipe(self, is_extended, NodeKind::Socket)?,
        }
        Ok(inode)
    }
}

impl Inode {
    pub(super) fn stat(&self, inode: InodeRef) -> Stat {
        let (kind, size_bytes) = match self.body {
            Body::Directory(body) => {
                (NodeKind::Directory, u64::from(body.length) + u64::from(DOTS_BYTES))
            }
            Body::File(body) => (NodeKind::File, body.size),
            Body::Symlink { length } => (NodeKind::Symlink, length.into()),
            Body::Special(kind) => (kind, 0),
        };
        Stat {
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: Timestamp::from_seconds(self.header.mtime_seconds.get().into()),
            links: self.links,
            size_bytes,
            // Two inodes of one number would be one file: the place is of one alone.
            number: inode.0,
        }
    }

    /// An error about this inode.
    pub(super) fn corrupt(&self, message: &str) -> Error {
        corrupt(format!("{}: {message}", title(&self.header)))
    }

    fn directory(&mut self, image: &Reader) -> Result<()> {
        let record: Directory = self.rest.record(image)?;
        self.links = record.links.get();
        self.body = Body::Directory(DirectoryBody {
            block: record.block.get(),
            offset: record.offset.get(),
            length: self.listing_length(record.size.get().into())?,
            parent: record.parent.get(),
            index_count: 0,
        });
        Ok(())
    }

    fn extended_directory(&mut self, image: &Reader) -> Result<()> {
        let record: ExtendedDirectory = self.rest.record(image)?;
        self.links = record.links.get();
        self.xattrs = xattrs(record.xattrs);
        self.body = Body::Directory(DirectoryBody {
            block: record.block.get(),
            offset: record.offset.get(),
            length: self.listing_length(record.size.get())?,
            parent: record.parent.get(),
            index_count: record.index_count.get(),
        });
        Ok(())
    }

    fn listing_length(&self, size: u32) -> Result<u32> {
        size.checked_sub(DOTS_BYTES).ok_or_else(|| {
            self.corrupt(&format!("bad size of a directory: expected 3 or more, got {size}"))
        })
    }

    fn file(&mut self, image: &Reader) -> Result<()> {
        let record: File = self.rest.record(image)?;
        self.content(
            image,
            FileBody {
                start: record.start.get().into(),
                size: record.size.get().into(),
                sparse_bytes: 0,
                blocks: 0,
                fragment: fragment(record.fragment, record.fragment_offset),
            },
        )
    }

    fn extended_file(&mut self, image: &Reader) -> Result<()> {
        let record: ExtendedFile = self.rest.record(image)?;
        self.links = record.links.get();
        self.xattrs = xattrs(record.xattrs);
        self.content(
            image,
            FileBody {
                start: record.start.get(),
                size: record.size.get(),
                sparse_bytes: record.sparse_bytes.get(),
                blocks: 0,
                fragment: fragment(record.fragment, record.fragment_offset),
            },
        )
    }

    fn content(&mut self, image: &Reader, mut file: FileBody) -> Result<()> {
        let block_bytes = u64::from(image.superblock.block_bytes.get());
        file.blocks = match file.fragment {
            None => file.size.div_ceil(block_bytes),
            Some(_) => file.size / block_bytes,
        };
        let most = image.layout.inodes.unpacked_max_bytes() / size_of::<u32>() as u64;
        if file.blocks > most {
            let blocks = file.blocks;
            return Err(self.corrupt(&format!(
                "bad size of a file: its {blocks} blocks are more than the {most} that the image \
                 can list"
            )));
        }
        if i64::try_from(file.size).is_err() {
            let size = file.size;
            let message = format!("bad size of a file: expected at most 2^63 - 1, got {size}");
            return Err(self.corrupt(&message));
        }
        let count = u64::from(image.superblock.fragments.get());
        if let Some(Fragment { index, .. }) = file.fragment
            && u64::from(index) >= count
        {
            let message = format!("bad fragment: expected less than {count}, got {index}");
            return Err(self.corrupt(&message));
        }
        self.body = Body::File(file);
        Ok(())
    }

    fn symlink(&mut self, image: &Reader, is_extended: bool) -> Result<()> {
        let record: Symlink = self.rest.record(image)?;
        self.links = record.links.get();
        let length = record.size.get();
        if !(1..=TARGET_MAX_BYTES).contains(&length) {
            let message = format!("bad length of a target: expected 1 to 4095, got {length}");
            return Err(self.corrupt(&message));
        }
        self.body = Body::Symlink { length };
        if is_extended {
            let mut behind = self.rest.clone();
            behind.skip(image, length.into())?;
            self.xattrs = xattrs(behind.record(image)?);
        }
        Ok(())
    }

    fn device(
        &mut self,
        image: &Reader,
        is_extended: bool,
        kind: fn(Device) -> NodeKind,
    ) -> Result<()> {
        let record: DeviceNode = self.rest.record(image)?;
        self.links = record.links.get();
        self.body = Body::Special(kind(Device::decode(record.device.get())));
        self.extended_end(image, is_extended)
    }

    fn pipe(&mut self, image: &Reader, is_extended: bool, kind: NodeKind) -> Result<()> {
        self.links = self.rest.record::<U32>(image)?.get();
        self.body = Body::Special(kind);
        self.extended_end(image, is_extended)
    }

    fn extended_end(&mut self, image: &Reader, is_extended: bool) -> Result<()> {
        if is_extended {
            self.xattrs = xattrs(self.rest.record(image)?);
        }
        Ok(())
    }
}

/// Permissions. The file type may be there, too, if it is the same: Linux adds it.
fn mode(header: &InodeHeader, inode_type: InodeType) -> Result<Mode> {
    let mode = header.mode.get();
    let permissions = Mode::of_st_mode(mode.into());
    let file_type = mode & !permissions.bits();
    if file_type != 0 && file_type != inode_type.mode() {
        let title = title(header);
        return Err(corrupt(format!(
            "{title}: bad mode: expected at most 07777, got {mode:#o} of another type"
        )));
    }
    Ok(permissions)
}

fn title(header: &InodeHeader) -> String {
    format!("inode {}", header.number)
}

fn xattrs(index: U32) -> Option<u32> {
    Some(index.get()).filter(|index| *index != NO_XATTRS)
}

fn fragment(index: U32, offset: U32) -> Option<Fragment> {
    let index = Some(index.get()).filter(|index| *index != NO_FRAGMENT)?;
    Some(Fragment { index, offset: offset.get() })
}

/// What is asked for is more than the limits allow.
pub(super) fn limit(message: String) -> Error {
    Error::new(ErrorKind::Limit, message)
}
