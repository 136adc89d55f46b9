//! Directories: each entry, and that they are sorted, complete and right about what they name.

use super::super::corrupt;
use super::super::directory::{Block, ENTRY_BYTES, blocks, is_dot};
use super::super::inode::Inode;
use super::record::Column::{Number, Text, Zero};
use super::record::Record;
use super::{Accounting, ENTRY_WORK_BYTES};
use crate::erofs::format::{DirectoryEntry, FileType};
use crate::error::Result;
use crate::read::InodeRef;

/// What goes from one entry of a directory to the next.
struct Sofar {
    nid: u64,
    parent: u64,
    last_name: Vec<u8>,
    has_dot: bool,
    has_dot_dot: bool,
}

impl Accounting<'_, '_> {
    /// Tells the entries of a directory and what they name.
    pub(super) fn directory(&mut self, nid: u64, parent: u64) -> Result<()> {
        let inode = self.reader.inode(InodeRef(nid))?;
        let last_name = Vec::new();
        let mut sofar = Sofar { nid, parent, last_name, has_dot: false, has_dot_dot: false };
        let count = blocks(self.reader, &inode);
        for number in 0..count {
            self.directory_block(&inode, number, count, &mut sofar)?;
        }
        for (is_there, name) in [(sofar.has_dot, "."), (sofar.has_dot_dot, "..")] {
            if !is_there {
                let message = format!("directory of inode {nid}: no entry `{name}`");
                self.problem(Some(inode.offset_bytes), message)?;
            }
        }
        Ok(())
    }

    fn directory_block(
        &mut self,
        inode: &Inode,
        number: u64,
        count: u64,
        sofar: &mut Sofar,
    ) -> Result<()> {
        let block = Block::read(self.reader, inode, number)?;
        let title = match count {
            1 => format!("directory of inode {}", inode.nid),
            _ => format!("directory of inode {}, block {number}", inode.nid),
        };
        let block_bytes = self.reader.volume.block_bytes();
        let piece = inode.piece(self.reader, number * block_bytes, block_bytes)?;
        // A hole has no entries, so that this is one of the image; it may go on elsewhere only
        // where chunks are smaller than blocks, which they are not.
        let place = piece.image_offset_bytes.unwrap_or(0);
        if !self.blocks.insert(place) {
            let message = format!("{title}: its entries at {place} are those of another, too");
            return Err(corrupt(message));
        }
        let mut record = Record::new(place, title).with_text(self.account.wants_text());
        let mut names = Vec::new();
        let mut names_end = block.count * ENTRY_BYTES;
        for index in 0..block.count {
            self.reader.metadata.charge(ENTRY_WORK_BYTES)?;
            let (entry, name) = block.entry(index)?;
            record.add("nid", &entry.nid.get().to_le_bytes(), Number);
            record.add("nameoff", &entry.name_offset.get().to_le_bytes(), Number);
            record.add("file_type", &[entry.file_type], Number);
            record.add("reserved", &[entry.reserved], Zero);
            if usize::from(entry.name_offset.get()) != names_end {
                let got = entry.name_offset.get();
                record.fault("nameoff", &format!("expected {names_end}, got {got}"));
            }
            names_end += name.len();
            if !is_dot(name) {
                block.check_name(name, index)?;
            }
            self.entry(&entry, name, sofar, &mut record)?;
            names.push(name);
        }
        for name in names {
            record.add("name", name, Text);
        }
        let end_bytes = record.end_bytes();
        self.record(record)?;
        // Behind the names up to the end of what the directory has of the block, and where it
        // has a block of its own up to the block's.
        let own_bytes = block.bytes().len() as u64;
        let filled_bytes = if inode.is_tail(place) { own_bytes } else { block_bytes };
        let used_bytes = end_bytes - place;
        self.padding(end_bytes, filled_bytes.saturating_sub(used_bytes))
    }

    fn entry(
        &mut self,
        entry: &DirectoryEntry,
        name: &[u8],
        sofar: &mut Sofar,
        record: &mut Record,
    ) -> Result<()> {
        if name <= sofar.last_name.as_slice() {
            record.fault("nid", "the name is not behind the one before it");
        }
        sofar.last_name.clear();
        sofar.last_name.extend_from_slice(name);
        let nid = entry.nid.get();
        let is_directory = entry.file_type == FileType::Directory as u8;
        if is_dot(name) {
            let is_own = name == b".";
            let expected = if is_own { sofar.nid } else { sofar.parent };
            if nid != expected {
                let shown = name.escape_ascii();
                record.fault("nid", &format!("`{shown}` is inode {nid}: expected {expected}"));
            }
            if !is_directory {
                record.fault("file_type", "expected a directory's");
            }
            let flag = if is_own { &mut sofar.has_dot } else { &mut sofar.has_dot_dot };
            *flag = true;
            return Ok(());
        }
        let is_new = !self.seen.contains_key(&nid);
        if is_new {
            self.inode(nid, sofar.nid)?;
        }
        let known = self.seen.get(&nid).copied().unwrap_or_default();
        if known == FileType::Directory as u8 && !is_new {
            record.fault("nid", &format!("directory {nid} is in another directory, too"));
        }
        if known != 0 && entry.file_type != known {
            let got = entry.file_type;
            record.fault("file_type", &format!("type {got} of an inode of type {known}"));
        }
        Ok(())
    }
}
