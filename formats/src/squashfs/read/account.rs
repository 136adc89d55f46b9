//! Tells every byte of an image, and what is wrong with it.
//!
//! The tables are gone through from the first byte to the last, whatever leads to their
//! records, and what leads there is compared with what was found.

mod directories;
mod files;
mod inodes;
mod tables;
mod tape;
mod xattrs;

use zerocopy::IntoBytes;

use self::files::{Blocks, Tail};
use self::tape::{Show, Tape, shown};
use super::Reader;
use super::metadata::Area;
use crate::compress::Compressor;
use crate::error::{ErrorKind, Result, unreadable};
use crate::read::{Account, Field, Problem, Region, RegionKind};
use crate::squashfs::format::{InodeType, NO_TABLE, SuperBlock, flags};

/// Bits of the superblock's flags that mean something in version 4.0.
const KNOWN_FLAGS: u16 = 0x0ffb;

/// The superblock's fields, by the names of Linux' `squashfs_fs.h`.
const SUPERBLOCK: [(&str, usize, Show); 19] = [
    ("s_magic", 4, Show::Hex),
    ("inodes", 4, Show::Number),
    ("mkfs_time", 4, Show::Number),
    ("block_size", 4, Show::Number),
    ("fragments", 4, Show::Number),
    ("compression", 2, Show::Number),
    ("block_log", 2, Show::Number),
    ("flags", 2, Show::Hex),
    ("no_ids", 2, Show::Number),
    ("s_major", 2, Show::Number),
    ("s_minor", 2, Show::Number),
    ("root_inode", 8, Show::Hex),
    ("bytes_used", 8, Show::Number),
    ("id_table_start", 8, Show::Number),
    ("xattr_id_table_start", 8, Show::Optional),
    ("inode_table_start", 8, Show::Number),
    ("directory_table_start", 8, Show::Number),
    ("fragment_table_start", 8, Show::Optional),
    ("lookup_table_start", 8, Show::Optional),
];

/// What was found in the inodes, for what leads there.
#[derive(Default)]
pub(super) struct Found {
    /// In the order of their places.
    inodes: Vec<Known>,
    listings: Vec<Listing>,
    tails: Vec<Tail>,
    blocks: Blocks,
}

/// An inode.
struct Known {
    reference: u64,
    number: u32,
    inode_type: InodeType,
    /// Of a directory: the number that it has for its parent.
    parent: u32,
    /// How many entries name it.
    names: u32,
}

/// A directory's listing.
struct Listing {
    /// Where it begins, from the start of the directories.
    reference: u64,
    length: u32,
    /// Which of the inodes it belongs to.
    inode: usize,
    has_index: bool,
}

impl Found {
    /// Which of the inodes is at a reference.
    fn index_of(&self, reference: u64) -> Option<usize> {
        self.inodes.binary_search_by_key(&reference, |known| known.reference).ok()
    }
}

impl Reader {
    pub(super) fn account_for(&self, account: &mut dyn Account) -> Result<()> {
        self.tell_superblock(account)?;
        self.tell_options(account)?;
        let mut found = Found::default();
        goes_on(self.tell_inodes(&mut found, account), self.layout.inodes, account)?;
        goes_on(self.tell_directories(&mut found, account), self.layout.directories, account)?;
        found.tell_names(self, account)?;
        self.tell_fragments(&mut found, account)?;
        found.blocks.tell_overlaps(account)?;
        self.tell_exports(&found, account)?;
        self.tell_ids(account)?;
        self.tell_xattrs(account)?;
        self.tell_end(account)
    }

    fn tell_superblock(&self, account: &mut dyn Account) -> Result<()> {
        let mut rest = self.superblock.as_bytes();
        let mut fields = Vec::new();
        for (name, length, show) in SUPERBLOCK {
            let (bytes, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            fields.push(field(name, length as u64, Some(shown(bytes, show))));
            rest = behind;
        }
        account.region(record(0, size_of::<SuperBlock>() as u64, "superblock", fields))?;
        let flags = self.superblock.flags.get();
        let mut tell = |message: String| account.problem(problem(24, message));
        if flags & !KNOWN_FLAGS != 0 {
            tell(format!("bad flags: expected none but {KNOWN_FLAGS:#x}, got {flags:#x}"))?;
        }
        let tables = [
            (flags::NO_FRAGMENTS, self.layout.fragments.is_some(), false, "fragments"),
            (flags::NO_XATTRS, self.layout.xattrs.is_some(), false, "extended attributes"),
            (flags::EXPORTABLE, self.layout.exports.is_some(), true, "exported inodes"),
        ];
        for (flag, is_there, wanted, name) in tables {
            let is_set = flags & flag != 0;
            if is_set && is_there != wanted {
                let (expected, got) = if wanted { ("", "no ") } else { ("no ", "") };
                tell(format!(
                    "the flags say that there are {expected}{name}, there are {got}some"
                ))?;
            }
        }
        let (fragments, end) = (self.superblock.fragment_table.get(), self.layout.directories.end);
        if self.layout.fragments.is_none() && fragments != NO_TABLE && fragments != end {
            let message = format!(
                "bad place of the fragments, of which there are none: expected {end} or none, got \
                 {fragments}"
            );
            account.problem(problem(80, message))?;
        }
        Ok(())
    }

    fn tell_options(&self, account: &mut dyn Account) -> Result<()> {
        let start = size_of::<SuperBlock>() as u64;
        let layout: &[(&'static str, usize, Show)] = match self.compressor {
            _ if self.layout.data_start == start => return Ok(()),
            Compressor::Gzip => &[
                ("compression_level", 4, Show::Number),
                ("window_size", 2, Show::Number),
                ("strategy", 2, Show::Hex),
            ],
            Compressor::Xz => &[("dictionary_size", 4, Show::Number), ("flags", 4, Show::Hex)],
            Compressor::Lz4 => &[("version", 4, Show::Number), ("flags", 4, Show::Hex)],
            Compressor::Zstd => &[("compression_level", 4, Show::Number)],
            Compressor::Deflate | Compressor::Lzma | Compressor::Lzo => &[],
        };
        let mut options = vec![0; super::in_memory(self.layout.data_start - start)];
        self.storage.read_exact_at(start, &mut options)?;
        let mut rest = options.as_slice();
        let mut fields = Vec::new();
        for (name, length, show) in [("header", 2, Show::Hex)].iter().chain(layout) {
            let (bytes, behind) = rest.split_at_checked(*length).unwrap_or((rest, &[]));
            fields.push(field(name, *length as u64, Some(shown(bytes, *show))));
            rest = behind;
        }
        let title = format!("options of {}", self.compressor.name());
        account.region(record(start, options.len() as u64, &title, fields))
    }

    fn tell_end(&self, account: &mut dyn Account) -> Result<()> {
        let used_bytes = self.superblock.used_bytes.get();
        let size_bytes = self.storage.size_bytes().map_err(unreadable)?;
        if size_bytes <= used_bytes {
            return Ok(());
        }
        account.region(Region {
            offset_bytes: used_bytes,
            length_bytes: size_bytes - used_bytes,
            kind: RegionKind::Padding,
            title: "end of the image".to_owned(),
            fields: Vec::new(),
            notes: Vec::new(),
        })
    }

    fn has_flag(&self, flag: u16) -> bool {
        self.superblock.flags.get() & flag != 0
    }
}

/// A table that is broken is a problem, and the others are told as well; what else fails ends
/// all.
fn goes_on(outcome: Result<()>, area: Area, account: &mut dyn Account) -> Result<()> {
    goes_on_at(outcome, area.start, account)
}

/// What is broken at a place is a problem, and the rest is told as well; what else fails ends
/// all.
fn goes_on_at(outcome: Result<()>, position: u64, account: &mut dyn Account) -> Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            account.problem(problem(position, error.to_string()))
        }
        outcome => outcome,
    }
}

fn record(start: u64, length: u64, title: &str, fields: Vec<Field>) -> Region {
    Region {
        offset_bytes: start,
        length_bytes: length,
        kind: RegionKind::Record,
        title: title.to_owned(),
        fields,
        notes: Vec::new(),
    }
}

fn field(name: &'static str, length_bytes: u64, value: Option<String>) -> Field {
    Field { length_bytes, name, value }
}

fn problem(position: u64, message: impl Into<String>) -> Problem {
    Problem { offset_bytes: Some(position), message: message.into() }
}

/// A number, little endian, of at most 8 bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
