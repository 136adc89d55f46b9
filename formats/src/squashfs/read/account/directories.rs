//! The listings of directories, and what leads there.

use super::super::directory::is_name;
use super::super::inode::Body;
use super::super::metadata::Cursor;
use super::super::{NAME_MAX_BYTES, Reader, corrupt, in_memory};
use super::{Found, Listing, Show, Tape};
use crate::error::Result;
use crate::read::{Account, InodeRef};
use crate::squashfs::format::{DirectoryIndex, InodeType, RUN_ENTRIES_MAX, flags};

/// The part of a listing behind one header.
struct Run {
    /// Metadata block of the inodes, from the start of their table.
    block: u64,
    /// From which the numbers of its inodes count.
    number: i64,
}

/// A directory's listing on its way past.
struct Told<'f> {
    found: &'f mut Found,
    /// The number of its inode.
    number: u32,
    length: u64,
    done: u64,
    before: Vec<u8>,
    index: Option<Index>,
}

/// What is left of a directory's index.
struct Index {
    cursor: Cursor,
    left: u16,
    next: Option<(DirectoryIndex, Vec<u8>)>,
}

impl Index {
    fn read(&mut self, image: &Reader) -> Result<()> {
        self.next = None;
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        let record: DirectoryIndex = self.cursor.record(image)?;
        let length = in_memory(u64::from(record.name_length_less_one.get()) + 1);
        if length > NAME_MAX_BYTES {
            return Err(corrupt(format!(
                "bad length of a name of an index: expected 1 to 255, got {length}"
            )));
        }
        let mut name = vec![0; length];
        self.cursor.read(image, &mut name)?;
        self.next = Some((record, name));
        Ok(())
    }
}

impl Reader {
    pub(super) fn tell_directories(
        &self,
        found: &mut Found,
        account: &mut dyn Account,
    ) -> Result<()> {
        let mut listings = std::mem::take(&mut found.listings);
        // Of an empty directory there is nothing, wherever it is said to be.
        listings.retain(|listing| listing.length > 0);
        listings.sort_by_key(|listing| listing.reference);
        let is_raw = self.has_flag(flags::RAW_INODES);
        let mut tape = Tape::new(self, account, self.layout.directories, is_raw);
        if listings.is_empty() && tape.has_more()? {
            // 7-Zip refuses a directory table without a block, so that of a root without entries
            // may have one, of a zero.
            tape.begin("directory table without a listing".to_owned())?;
            if tape.number("unused", 1, Show::Number)? != 0 {
                tape.problem("the byte that belongs to no listing is not zero")?;
            }
            tape.end()?;
        }
        for listing in listings {
            let here = if tape.has_more()? { tape.reference() } else { u64::MAX };
            if listing.reference != here {
                let number = found.inodes.get(listing.inode).map_or(0, |known| known.number);
                return Err(corrupt(format!(
                    "the listing of inode {number} does not begin where another one ends"
                )));
            }
            self.tell_listing(&listing, found, &mut tape)?;
        }
        tape.finish()
    }

    fn tell_listing(
        &self,
        listing: &Listing,
        found: &mut Found,
        tape: &mut Tape<'_>,
    ) -> Result<()> {
        let Some(known) = found.inodes.get(listing.inode) else { return Ok(()) };
        let (number, reference) = (known.number, known.reference);
        let mut told = Told {
            found,
            number,
            length: listing.length.into(),
            done: 0,
            before: Vec::new(),
            index: None,
        };
        if listing.has_index {
            told.index = self.index_of(reference)?;
        }
        tape.begin(format!("directory of inode {number}"))?;
        while told.done < told.length {
            told.run(self, tape)?;
        }
        if told.done > told.length {
            tape.problem(format!("the listing of inode {number} ends within an entry"))?;
        }
        if told.index.is_some_and(|index| index.next.is_some()) {
            tape.problem(format!("the index of inode {number} leads to no header of its listing"))?;
        }
        tape.end()
    }

    fn index_of(&self, reference: u64) -> Result<Option<Index>> {
        let inode = self.inode(InodeRef(reference))?;
        let Body::Directory(body) = inode.body else { return Ok(None) };
        let mut index = Index { cursor: inode.rest, left: body.index_count, next: None };
        index.read(self)?;
        Ok(Some(index))
    }
}

impl Told<'_> {
    fn run(&mut self, image: &Reader, tape: &mut Tape<'_>) -> Result<()> {
        let at = self.done;
        tape.has_more()?;
        let block = tape.reference() >> 16;
        let count = tape.number("count", 4, Show::Number)?.saturating_add(1);
        let run = Run {
            block: tape.number("start_block", 4, Show::Number)?,
            number: i64::try_from(tape.number("inode_number", 4, Show::Number)?).unwrap_or(-1),
        };
        self.done += 12;
        if count > RUN_ENTRIES_MAX as u64 {
            let number = self.number;
            return Err(corrupt(format!(
                "bad count of a header of the directory of inode {number}: expected 1 to 256, got \
                 {count}"
            )));
        }
        for place in 0..count {
            if self.done >= self.length {
                let number = self.number;
                return tape.problem(format!("the listing of inode {number} ends within a run"));
            }
            self.entry(&run, tape)?;
            if place == 0 {
                self.indexed(image, at, block, tape)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, run: &Run, tape: &mut Tape<'_>) -> Result<()> {
        let offset = tape.number("offset", 2, Show::Number)?;
        let delta = tape.number("inode_number", 2, Show::Number)?;
        let stored_type = tape.number("type", 2, Show::Number)?;
        let length = tape.number("size", 2, Show::Number)?.saturating_add(1);
        if length > NAME_MAX_BYTES as u64 {
            let number = self.number;
            return Err(corrupt(format!(
                "bad length of a name in the directory of inode {number}: expected 1 to 255, got \
                 {length}"
            )));
        }
        let mut name = vec![0; in_memory(length)];
        tape.field("name", &mut name, Show::Name)?;
        self.done += 8 + length;
        let number = self.number;
        if !is_name(&name) {
            tape.problem(format!("inode {number}: an entry has a name that no file can have"))?;
        }
        if name <= self.before {
            tape.problem(format!("inode {number}: its entries are not sorted by their names"))?;
        }
        self.before = name;
        // The difference has a sign.
        let delta = u16::try_from(delta).unwrap_or_default().cast_signed();
        let expected = run.number + i64::from(delta);
        self.leads(run.block << 16 | offset, expected, stored_type, tape)
    }

    /// Compares what an entry says of its inode with that.
    fn leads(
        &mut self,
        reference: u64,
        expected: i64,
        stored_type: u64,
        tape: &mut Tape<'_>,
    ) -> Result<()> {
        let number = self.number;
        let index = self.found.index_of(reference);
        let Some(known) = index.and_then(|index| self.found.inodes.get_mut(index)) else {
            return tape.problem(format!("an entry of inode {number} leads to no inode"));
        };
        known.names = known.names.saturating_add(1);
        let (target, target_type) = (known.number, known.inode_type);
        let parent = (target_type == InodeType::Directory).then_some(known.parent);
        if i64::from(target) != expected {
            tape.problem(format!(
                "an entry of inode {number} says that it is inode {expected}, it is {target}"
            ))?;
        }
        let target_type = u64::from(target_type as u16);
        if target_type != stored_type {
            tape.problem(format!(
                "an entry of inode {number} has the type {stored_type}, its inode {target_type}"
            ))?;
        }
        match parent {
            Some(parent) if parent != number => tape.problem(format!(
                "the directory of inode {target} says that it is in inode {parent}, it is in \
                 {number}"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Compares the index with the header at `at` of the listing, in the metadata block of that
    /// place.
    fn indexed(&mut self, image: &Reader, at: u64, block: u64, tape: &mut Tape<'_>) -> Result<()> {
        let Some(index) = &mut self.index else { return Ok(()) };
        let Some((record, name)) = &index.next else { return Ok(()) };
        let number = self.number;
        if u64::from(record.listing_offset.get()) != at {
            return Ok(());
        }
        if u64::from(record.block.get()) != block {
            tape.problem(format!("the index of inode {number} leads to another metadata block"))?;
        }
        if *name != self.before {
            tape.problem(format!("the index of inode {number} names another entry"))?;
        }
        index.read(image)
    }
}
