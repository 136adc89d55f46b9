//! Accounts for the bytes of an image: the superblock and what goes with it, then every inode
//! that a directory names, once, with all that it has. Content comes last, in the order of the
//! image, as one stretch may be that of several inodes. What nothing refers to is left out.

mod content;
mod directory;
mod record;
mod start;
mod xattr;

use std::collections::{BTreeSet, HashMap, HashSet};

use super::inode::{Inode, Layout};
use super::{Reader, corrupt};
use crate::erofs::format::{CompactInode, ExtendedInode, FileType, INCOMPAT_FRAGMENTS, NULL_BLOCK};
use crate::error::{Error, ErrorKind, Result};
use crate::read::{Account, InodeRef, NodeKind, Problem, Reader as _, Region, RegionKind};
use content::Contents;
use record::Column::{Hex, Number, Octal, Signed, Zero};
use record::{Column, Record};

/// What an entry of a directory or an extended attribute counts as work, besides its bytes: it
/// is told in several fields.
const ENTRY_WORK_BYTES: u64 = 256;

/// Fields of [`CompactInode`], by the kernel's names.
const COMPACT: [(&str, u8, Column); 11] = [
    ("i_format", 2, Hex),
    ("i_xattr_icount", 2, Number),
    ("i_mode", 2, Octal),
    ("i_nlink", 2, Number),
    ("i_size", 4, Number),
    ("i_reserved", 4, Zero),
    ("i_u", 4, Number),
    ("i_ino", 4, Number),
    ("i_uid", 2, Number),
    ("i_gid", 2, Number),
    ("i_reserved2", 4, Zero),
];
/// Fields of [`ExtendedInode`], by the kernel's names.
const EXTENDED: [(&str, u8, Column); 13] = [
    ("i_format", 2, Hex),
    ("i_xattr_icount", 2, Number),
    ("i_mode", 2, Octal),
    ("i_reserved", 2, Zero),
    ("i_size", 8, Number),
    ("i_u", 4, Number),
    ("i_ino", 4, Number),
    ("i_uid", 4, Number),
    ("i_gid", 4, Number),
    ("i_mtime", 8, Signed),
    ("i_mtime_nsec", 4, Number),
    ("i_nlink", 4, Number),
    ("i_reserved2", 16, Zero),
];

/// What goes through an image.
struct Accounting<'r, 'a> {
    reader: &'r Reader,
    account: &'a mut dyn Account,
    /// The inodes so far, and the type that entries have to say of each.
    seen: HashMap<u64, u8>,
    /// Directories whose entries are to come, each with the one that it is in.
    pending: Vec<(u64, u64)>,
    contents: Contents,
    /// Where the blocks of directories are so far.
    blocks: HashSet<u64>,
    /// Shared xattrs so far.
    shared: BTreeSet<u32>,
    /// Inode numbers as they are stored.
    numbers: HashSet<u32>,
    /// The first feature that is not read.
    unread: Option<Error>,
    /// What was found is not all that there is.
    is_partial: bool,
}

/// Tells all of an image.
pub(super) fn account(reader: &Reader, account: &mut dyn Account) -> Result<()> {
    let mut accounting = Accounting {
        reader,
        account,
        seen: HashMap::new(),
        pending: Vec::new(),
        contents: Contents::new(reader.metadata.size_bytes()),
        blocks: HashSet::new(),
        shared: BTreeSet::new(),
        numbers: HashSet::new(),
        unread: None,
        is_partial: false,
    };
    accounting.start()?;
    let root = reader.root().0;
    accounting.inode(root, root)?;
    let packed = reader.volume.record.packed_nid.get();
    if packed > 0 && reader.volume.feature_incompat() & INCOMPAT_FRAGMENTS != 0 {
        accounting.inode(packed, root)?;
    }
    while let Some((nid, parent)) = accounting.pending.pop() {
        let outcome = accounting.directory(nid, parent);
        accounting
            .go_on(outcome, || reader.inode(InodeRef(nid)).ok().map(|inode| inode.offset_bytes))?;
    }
    accounting.inode_count()?;
    let contents = std::mem::replace(&mut accounting.contents, Contents::new(0));
    contents.tell(accounting.account)?;
    accounting.unread.map_or(Ok(()), Err)
}

impl Accounting<'_, '_> {
    /// What is wrong with one part of an image ends that part alone, and so does what is not
    /// read, which is the error at the end.
    fn go_on(
        &mut self,
        outcome: Result<()>,
        offset_bytes: impl FnOnce() -> Option<u64>,
    ) -> Result<()> {
        let Err(error) = outcome else { return Ok(()) };
        match error.kind() {
            ErrorKind::Corrupt => {
                self.is_partial = true;
                self.problem(offset_bytes(), error.to_string())
            }
            ErrorKind::Unsupported => {
                self.is_partial = true;
                self.unread.get_or_insert(error);
                Ok(())
            }
            ErrorKind::Unrepresentable
            | ErrorKind::Limit
            | ErrorKind::Cost
            | ErrorKind::Conflict
            | ErrorKind::Changed
            | ErrorKind::Key
            | ErrorKind::Source
            | ErrorKind::Io
            | ErrorKind::Bug => Err(error),
        }
    }

    fn problem(&mut self, offset_bytes: Option<u64>, message: impl Into<String>) -> Result<()> {
        self.account.problem(Problem { offset_bytes, message: message.into() })
    }

    /// Tells a record and what is wrong with it.
    fn record(&mut self, record: Record) -> Result<()> {
        for problem in record.problems {
            self.account.problem(problem)?;
        }
        self.account.region(Region {
            offset_bytes: record.offset_bytes,
            length_bytes: record.fields.iter().map(|field| field.length_bytes).sum(),
            kind: RegionKind::Record,
            title: record.title,
            fields: record.fields,
            notes: record.notes,
        })
    }

    /// Tells what fills up to somewhere, as far as the image goes.
    fn padding(&mut self, offset_bytes: u64, length_bytes: u64) -> Result<()> {
        let room_bytes = self.reader.metadata.size_bytes().saturating_sub(offset_bytes);
        let length_bytes = length_bytes.min(room_bytes);
        if length_bytes == 0 {
            return Ok(());
        }
        self.account.region(Region {
            offset_bytes,
            length_bytes,
            kind: RegionKind::Padding,
            title: "padding".to_owned(),
            fields: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Tells an inode with all that it has; the entries of a directory come later. It is one of
    /// the directory `parent`.
    fn inode(&mut self, nid: u64, parent: u64) -> Result<()> {
        let inode = match self.reader.inode(InodeRef(nid)) {
            Ok(inode) => inode,
            Err(error) => {
                self.seen.insert(nid, 0);
                return self.go_on(Err(error), || None);
            }
        };
        self.seen.insert(nid, file_type(inode.stat.kind) as u8);
        let place = Some(inode.offset_bytes);
        let outcome = self.inode_record(&inode);
        self.go_on(outcome, || place)?;
        let outcome = self.xattrs(&inode);
        self.go_on(outcome, || place)?;
        let outcome = match inode.stat.kind {
            NodeKind::Directory => {
                self.pending.push((nid, parent));
                self.chunk_table(&inode)
            }
            NodeKind::File | NodeKind::Symlink => {
                self.chunk_table(&inode).and_then(|()| self.contents.add(self.reader, &inode))
            }
            NodeKind::CharDevice(_)
            | NodeKind::BlockDevice(_)
            | NodeKind::Fifo
            | NodeKind::Socket => Ok(()),
        };
        self.go_on(outcome, || place)
    }

    fn inode_record(&mut self, inode: &Inode) -> Result<()> {
        let columns: &[_] = if inode.record_bytes == size_of::<CompactInode>() as u64 {
            &COMPACT
        } else {
            const { assert!(size_of::<ExtendedInode>() == 64) };
            &EXTENDED
        };
        let title = format!("inode {}", inode.nid);
        let mut record =
            Record::new(inode.offset_bytes, title).with_text(self.account.wants_text());
        record.read(&self.reader.metadata, columns)?;
        record.notes.push(described(inode));
        let stat = &inode.stat;
        if stat.links == 0 {
            record.fault("i_nlink", "a link count of 0: expected 1 or more");
        }
        let has_content = !matches!(inode.layout, Layout::None);
        if !has_content && stat.size_bytes > 0 {
            let size_bytes = stat.size_bytes;
            record.fault("i_size", &format!("a size of {size_bytes} bytes of what has no content"));
        }
        self.check_place(inode, &mut record);
        let number = inode.number;
        let inodes = self.reader.volume.record.inodes.get();
        if !self.numbers.insert(number) {
            record.fault("i_ino", &format!("number {number} is that of another inode, too"));
        } else if u64::from(number) > inodes {
            let message =
                format!("number {number}: expected at most {inodes}, as many as there are");
            record.fault("i_ino", &message);
        }
        self.record(record)
    }

    /// Checks what tells where the content is, where there is none.
    fn check_place(&self, inode: &Inode, record: &mut Record) {
        let place = inode.place;
        let fault = match (inode.stat.kind, inode.layout) {
            (NodeKind::Fifo | NodeKind::Socket, _) if place != 0 => {
                format!("the number of a device, {place}, in an inode that is not a device")
            }
            (_, Layout::Flat { is_inline, .. }) => {
                let has_blocks = inode.stat.size_bytes
                    > if is_inline { self.reader.volume.block_bytes() } else { 0 };
                if has_blocks || matches!(place, 0 | NULL_BLOCK) {
                    return;
                }
                format!("a first block {place} of what has no blocks")
            }
            (_, Layout::Chunks { .. }) if place >> 16 != 0 => {
                format!("a form of chunks {place:#x}: expected at most 0xffff")
            }
            (_, Layout::Compressed) if inode.stat.size_bytes == 0 => {
                return record.fault("i_format", "an empty file that is compressed");
            }
            (_, Layout::None | Layout::Chunks { .. } | Layout::Compressed) => return,
        };
        record.fault("i_u", &fault);
    }

    /// Tells the addresses of a chunk-based file, 512 at a time.
    fn chunk_table(&mut self, inode: &Inode) -> Result<()> {
        const PART: u64 = 512;
        let Layout::Chunks { bits, has_indexes } = inode.layout else { return Ok(()) };
        let count = inode.stat.size_bytes.div_ceil(1 << bits);
        self.contents.admit(inode, count)?;
        let columns: &[_] = if has_indexes {
            &[("advise", 2, Zero), ("device_id", 2, Zero), ("blkaddr", 4, Number)]
        } else {
            &[("blkaddr", 4, Number)]
        };
        let start_bytes = inode.chunk_table_bytes(has_indexes);
        self.padding(inode.end_bytes(), start_bytes - inode.end_bytes())?;
        let address_bytes = Layout::address_bytes(has_indexes);
        for first in (0..count).step_by(usize::try_from(PART).unwrap_or(1)) {
            let last = count.min(first + PART);
            let title = if count <= PART {
                format!("chunks of inode {}", inode.nid)
            } else {
                format!("chunks {first} to {} of inode {}", last - 1, inode.nid)
            };
            let mut record = Record::new(start_bytes + first * address_bytes, title)
                .with_text(self.account.wants_text());
            for _ in first..last {
                record.read(&self.reader.metadata, columns)?;
            }
            self.record(record)?;
        }
        Ok(())
    }

    /// The superblock says how many inodes there are. Our writer says one more where the number
    /// would be mistaken for another file system's mark, and mkfs.erofs counts the packed inode.
    fn inode_count(&mut self) -> Result<()> {
        let (said, found) = (self.reader.volume.record.inodes.get(), self.seen.len() as u64);
        if self.is_partial || said == found || said == crate::erofs::format::inode_count(found) {
            return Ok(());
        }
        let message = format!("the superblock tells of {said} inodes, and directories of {found}");
        self.problem(Some(super::superblock::OFFSET_BYTES + 16), message)
    }
}

/// What people read of an inode.
fn described(inode: &Inode) -> String {
    let kind = match inode.stat.kind {
        NodeKind::Directory => "directory".to_owned(),
        NodeKind::File => "file".to_owned(),
        NodeKind::Symlink => "symbolic link".to_owned(),
        NodeKind::CharDevice(device) => {
            format!("character device {}:{}", device.major(), device.minor())
        }
        NodeKind::BlockDevice(device) => {
            format!("block device {}:{}", device.major(), device.minor())
        }
        NodeKind::Fifo => "named pipe".to_owned(),
        NodeKind::Socket => "socket".to_owned(),
    };
    let layout = match inode.layout {
        Layout::None => return kind,
        Layout::Flat { is_inline: false, .. } => "flat plain".to_owned(),
        Layout::Flat { is_inline: true, .. } => "flat inline".to_owned(),
        Layout::Chunks { bits, .. } => format!("chunks of 2^{bits} bytes"),
        Layout::Compressed => "compressed".to_owned(),
    };
    format!("{kind}, {layout}")
}

/// The type that an entry says of an inode of this kind.
fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::Directory => FileType::Directory,
        NodeKind::File => FileType::Regular,
        NodeKind::Symlink => FileType::Symlink,
        NodeKind::CharDevice(_) => FileType::CharDevice,
        NodeKind::BlockDevice(_) => FileType::BlockDevice,
        NodeKind::Fifo => FileType::Fifo,
        NodeKind::Socket => FileType::Socket,
    }
}
