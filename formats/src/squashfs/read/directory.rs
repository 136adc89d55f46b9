//! Directories: runs of entries behind headers, and the index of a long one.

use std::ops::ControlFlow;

use super::inode::{Body, DirectoryBody, Inode};
use super::metadata::Cursor;
use super::{NAME_MAX_BYTES, Reader, corrupt, in_memory};
use crate::error::Result;
use crate::read::{Entry, InodeRef};
use crate::squashfs::format::{
    DirectoryEntry, DirectoryHeader, DirectoryIndex, InodeType, METADATA_BYTES, RUN_ENTRIES_MAX,
};

/// A listing, from its start or from a header within it on.
pub(super) struct Listing {
    cursor: Cursor,
    /// What is left of it.
    left: u32,
    run: Run,
    /// The last entry's name, with its length.
    name: [u8; NAME_MAX_BYTES],
    length: usize,
    /// The name of the entry before, for they are sorted.
    before: [u8; NAME_MAX_BYTES],
    before_length: usize,
}

/// The entries behind one header.
#[derive(Default)]
struct Run {
    left: u32,
    block: u32,
}

impl Reader {
    /// The listing of a directory from its start on.
    pub(super) fn listing(&self, directory: &Inode) -> Result<Listing> {
        let body = body(directory)?;
        let reference = u64::from(body.block) << 16 | u64::from(body.offset);
        let cursor = Cursor::of(self.layout.directories, reference);
        Ok(Listing::new(cursor, body.length))
    }

    /// Looks `name` up, from where the index says that it may be.
    pub(super) fn find(&self, directory: &Inode, name: &[u8]) -> Result<Option<InodeRef>> {
        let mut listing = self.listing(directory)?;
        let body = body(directory)?;
        let mut first = [0; NAME_MAX_BYTES];
        let mut expected = None;
        if let Some((start, length)) = self.indexed(directory, name, &mut first)? {
            let offset = u64::from(body.offset) + u64::from(start.listing_offset.get());
            let offset = usize::try_from(offset % METADATA_BYTES as u64).unwrap_or_default();
            let reference = u64::from(start.block.get()) << 16 | offset as u64;
            let left = body.length.checked_sub(start.listing_offset.get());
            let left = left.filter(|left| *left > 0).ok_or_else(|| {
                directory.corrupt("its index leads behind the end of its listing")
            })?;
            listing = Listing::new(Cursor::of(self.layout.directories, reference), left);
            expected = first.get(..length);
        }
        while let Some(inode) = listing.next(self, directory)? {
            let found = listing.name();
            if expected.take().is_some_and(|expected| expected != found) {
                return Err(directory.corrupt("its index leads to another entry than it names"));
            }
            if found == name {
                return Ok(Some(inode));
            }
            if found > name {
                break;
            }
        }
        Ok(None)
    }

    /// The last record of a directory's index whose name is not behind `name`; the record's
    /// own name comes into `found`, with its length. None where the listing's start is meant.
    fn indexed(
        &self,
        directory: &Inode,
        name: &[u8],
        found: &mut [u8; NAME_MAX_BYTES],
    ) -> Result<Option<(DirectoryIndex, usize)>> {
        let mut cursor = directory.rest.clone();
        let mut last = None;
        let mut buffer = [0; NAME_MAX_BYTES];
        for _ in 0..body(directory)?.index_count {
            let record: DirectoryIndex = cursor.record(self)?;
            let length = u64::from(record.name_length_less_one.get()) + 1;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let window = buffer.get_mut(..length).ok_or_else(|| too_long(directory, length))?;
            cursor.read(self, window)?;
            if &*window > name {
                break;
            }
            *found = buffer;
            last = Some((record, length));
        }
        Ok(last)
    }
}

impl Listing {
    fn new(cursor: Cursor, left: u32) -> Self {
        Self {
            cursor,
            left,
            run: Run::default(),
            name: [0; NAME_MAX_BYTES],
            length: 0,
            before: [0; NAME_MAX_BYTES],
            before_length: 0,
        }
    }

    /// Gives all entries to `each` until it breaks.
    pub(super) fn each(
        mut self,
        image: &Reader,
        directory: &Inode,
        each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        while let Some(inode) = self.next(image, directory)? {
            if each(Entry { name: self.name(), inode })?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn name(&self) -> &[u8] {
        self.name.get(..self.length).unwrap_or_default()
    }

    /// Reads the next entry, whose name is [`Self::name`] then (`squashfs_readdir` of Linux).
    fn next(&mut self, image: &Reader, directory: &Inode) -> Result<Option<InodeRef>> {
        if self.run.left == 0 {
            if self.left == 0 {
                return Ok(None);
            }
            self.take(size_of::<DirectoryHeader>(), directory)?;
            let header: DirectoryHeader = self.cursor.record(image)?;
            let count = header.count_less_one.get().saturating_add(1);
            if in_memory(count.into()) > RUN_ENTRIES_MAX {
                return Err(directory.corrupt(&format!(
                    "bad count of a directory's header: expected 1 to 256, got {count}"
                )));
            }
            self.run = Run { left: count, block: header.block.get() };
        }
        self.take(size_of::<DirectoryEntry>(), directory)?;
        let entry: DirectoryEntry = self.cursor.record(image)?;
        let length = usize::from(entry.name_length_less_one.get()) + 1;
        self.take(length, directory)?;
        std::mem::swap(&mut self.name, &mut self.before);
        self.before_length = self.length;
        let name = self.name.get_mut(..length).ok_or_else(|| too_long(directory, length))?;
        self.length = length;
        self.cursor.read(image, name)?;
        if !is_name(name) {
            return Err(directory.corrupt("an entry has a name that no file can have"));
        }
        if &*name <= self.before.get(..self.before_length).unwrap_or_default() {
            return Err(directory.corrupt("its entries are not sorted by their names"));
        }
        if InodeType::of(entry.inode_type.get()).is_none() {
            let got = entry.inode_type.get();
            let message = format!("bad type of an entry: expected 1 to 7, got {got}");
            return Err(directory.corrupt(&message));
        }
        self.run.left -= 1;
        let reference = u64::from(self.run.block) << 16 | u64::from(entry.offset.get());
        Ok(Some(InodeRef(reference)))
    }

    /// Counts what is read next.
    fn take(&mut self, length: usize, directory: &Inode) -> Result<()> {
        let left = u32::try_from(length).ok().and_then(|length| self.left.checked_sub(length));
        self.left = left.ok_or_else(|| directory.corrupt("its listing ends within an entry"))?;
        Ok(())
    }
}

/// Whether an entry can have this name; `.` and `..` are stored nowhere.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name != b"."
        && name != b".."
        && !name.iter().any(|byte| b"/\0".contains(byte))
}

fn body(directory: &Inode) -> Result<DirectoryBody> {
    match directory.body {
        Body::Directory(body) => Ok(body),
        Body::File(_) | Body::Symlink { .. } | Body::Special(_) => {
            Err(corrupt("the inode is not a directory"))
        }
    }
}

fn too_long(directory: &Inode, length: usize) -> crate::error::Error {
    directory.corrupt(&format!("bad length of a name: expected 1 to 255, got {length}"))
}
