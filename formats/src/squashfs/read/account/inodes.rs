//! The inodes, and who names them.

use super::super::inode::{Body, Inode};
use super::super::{Reader, in_memory};
use super::{Found, Known, Listing, Show, Tape, goes_on_at, problem};
use crate::error::Result;
use crate::read::Account;
use crate::squashfs::format::{EXTENDED, InodeType, flags};

/// A field of a record: its name in Linux' `squashfs_fs.h`, its length, and how it is shown.
type Layout = [(&'static str, u64, Show)];

const HEADER: &Layout = &[
    ("inode_type", 2, Show::Number),
    ("mode", 2, Show::Octal),
    ("uid", 2, Show::Number),
    ("guid", 2, Show::Number),
    ("mtime", 4, Show::Number),
    ("inode_number", 4, Show::Number),
];
const DIRECTORY: &Layout = &[
    ("start_block", 4, Show::Number),
    ("nlink", 4, Show::Number),
    ("file_size", 2, Show::Number),
    ("offset", 2, Show::Number),
    ("parent_inode", 4, Show::Number),
];
const EXTENDED_DIRECTORY: &Layout = &[
    ("nlink", 4, Show::Number),
    ("file_size", 4, Show::Number),
    ("start_block", 4, Show::Number),
    ("parent_inode", 4, Show::Number),
    ("i_count", 2, Show::Number),
    ("offset", 2, Show::Number),
    ("xattr", 4, Show::Optional),
];
const FILE: &Layout = &[
    ("start_block", 4, Show::Number),
    ("fragment", 4, Show::Optional),
    ("offset", 4, Show::Number),
    ("file_size", 4, Show::Number),
];
const EXTENDED_FILE: &Layout = &[
    ("start_block", 8, Show::Number),
    ("file_size", 8, Show::Number),
    ("sparse", 8, Show::Number),
    ("nlink", 4, Show::Number),
    ("fragment", 4, Show::Optional),
    ("offset", 4, Show::Number),
    ("xattr", 4, Show::Optional),
];
const SYMLINK: &Layout = &[("nlink", 4, Show::Number), ("symlink_size", 4, Show::Number)];
const DEVICE: &Layout = &[("nlink", 4, Show::Number), ("rdev", 4, Show::Hex)];
const PIPE: &Layout = &[("nlink", 4, Show::Number)];
const XATTR: &Layout = &[("xattr", 4, Show::Optional)];

impl Reader {
    pub(super) fn tell_inodes(&self, found: &mut Found, account: &mut dyn Account) -> Result<()> {
        let is_raw = self.has_flag(flags::RAW_INODES);
        let mut tape = Tape::new(self, account, self.layout.inodes, is_raw);
        while tape.has_more()? {
            if found.inodes.len() as u64 >= self.limits.inodes {
                let message = format!("the image has more than {} inodes", self.limits.inodes);
                return Err(super::super::inode::limit(message));
            }
            let (reference, position) = (tape.reference(), tape.position());
            let inode = self.inode_at(tape.cursor())?;
            self.tell_inode(&inode, &mut tape)?;
            found.add(reference, &inode);
            let told = self.tell_content(&inode, position, found, tape.account);
            goes_on_at(told, position, tape.account)?;
        }
        tape.finish()
    }

    fn tell_inode(&self, inode: &Inode, tape: &mut Tape<'_>) -> Result<()> {
        let is_extended = inode.header.inode_type.get() > EXTENDED;
        tape.begin(format!("inode {}", inode.header.number))?;
        pass(HEADER, tape)?;
        match inode.body {
            Body::Directory(_) if !is_extended => pass(DIRECTORY, tape)?,
            Body::Directory(body) => {
                pass(EXTENDED_DIRECTORY, tape)?;
                for _ in 0..body.index_count {
                    tell_index(tape)?;
                }
            }
            Body::File(body) => {
                pass(if is_extended { EXTENDED_FILE } else { FILE }, tape)?;
                tape.pass_all("block_list", 4, body.blocks, Show::Size)?;
            }
            Body::Symlink { length } => {
                pass(SYMLINK, tape)?;
                tape.pass("symlink", length.into(), Show::Content)?;
                if is_extended {
                    tape.pass("xattr", 4, Show::Optional)?;
                }
            }
            Body::Special(_) => {
                let is_device = matches!(
                    inode.inode_type(),
                    Some(InodeType::BlockDevice | InodeType::CharDevice)
                );
                pass(if is_device { DEVICE } else { PIPE }, tape)?;
                pass(if is_extended { XATTR } else { &[] }, tape)?;
            }
        }
        self.check_inode(inode, tape)?;
        tape.end()
    }

    fn check_inode(&self, inode: &Inode, tape: &mut Tape<'_>) -> Result<()> {
        let number = inode.header.number.get();
        let count = self.superblock.inodes.get();
        if number == 0 || number > count {
            tape.problem(format!("bad number of an inode: expected 1 to {count}, got {number}"))?;
        }
        let mode = inode.header.mode.get();
        if mode > 0o7777 {
            tape.problem(format!(
                "bad mode of inode {number}: expected at most 07777, got {mode:#o}"
            ))?;
        }
        let sets = self.layout.xattrs.as_ref().map_or(0, |tables| tables.ids.records);
        if let Some(index) = inode.xattrs
            && u64::from(index) >= sets
        {
            tape.problem(format!(
                "bad set of extended attributes of inode {number}: expected less than {sets}, got \
                 {index}"
            ))?;
        }
        Ok(())
    }
}

fn pass(layout: &Layout, tape: &mut Tape<'_>) -> Result<()> {
    for (name, length, show) in layout {
        tape.pass(name, *length, *show)?;
    }
    Ok(())
}

/// A record of a directory's index; Linux' `squashfs_dir_index`.
fn tell_index(tape: &mut Tape<'_>) -> Result<()> {
    tape.pass("index", 4, Show::Number)?;
    tape.pass("start_block", 4, Show::Number)?;
    let length = tape.number("size", 4, Show::Number)?.saturating_add(1);
    // Looking a name up refuses more, and it must not be kept here either.
    let mut name = vec![0; in_memory(length.min(256))];
    tape.field("name", &mut name, Show::Name)
}

impl Inode {
    fn inode_type(&self) -> Option<InodeType> {
        let stored = self.header.inode_type.get();
        InodeType::of(if stored > EXTENDED { stored - EXTENDED } else { stored })
    }
}

impl Found {
    fn add(&mut self, reference: u64, inode: &Inode) {
        let mut parent = 0;
        if let Body::Directory(body) = inode.body {
            parent = body.parent;
            self.listings.push(Listing {
                reference: u64::from(body.block) << 16 | u64::from(body.offset),
                length: body.length,
                inode: self.inodes.len(),
                has_index: body.index_count > 0,
            });
        }
        // Reading it has found its type.
        let inode_type = inode.inode_type().unwrap_or(InodeType::File);
        let number = inode.header.number.get();
        self.inodes.push(Known { reference, number, inode_type, parent, names: 0 });
    }

    /// Compares the inodes with the superblock's count and with the entries.
    pub(super) fn tell_names(&mut self, image: &Reader, account: &mut dyn Account) -> Result<()> {
        let (count, expected) = (self.inodes.len(), image.superblock.inodes.get());
        if count as u64 != u64::from(expected) {
            let message =
                format!("bad count of inodes: the superblock says {expected}, there are {count}");
            account.problem(problem(4, message))?;
        }
        let root = image.superblock.root.get();
        if self.index_of(root).is_none() {
            account.problem(problem(32, "the root is not in the table of inodes"))?;
        }
        for known in &self.inodes {
            let Known { number, names, .. } = known;
            let is_directory = known.inode_type == InodeType::Directory;
            let wrong = match (known.reference == root, names) {
                (true, 0) => continue,
                (true, _) => "an entry names the root".to_owned(),
                (false, 0) => format!("no entry names inode {number}"),
                (false, 2..) if is_directory => {
                    format!("{names} entries name the directory of inode {number}")
                }
                (false, _) => continue,
            };
            account.problem(problem(image.place_of(known.reference), wrong))?;
        }
        let mut numbers: Vec<u32> = self.inodes.iter().map(|known| known.number).collect();
        numbers.sort_unstable();
        for pair in numbers.windows(2) {
            if let [one, other] = pair
                && one == other
            {
                let message = format!("two inodes have the number {one}");
                account.problem(problem(image.layout.inodes.start, message))?;
            }
        }
        Ok(())
    }
}

impl Reader {
    /// Where the metadata block of an inode is in the image.
    pub(super) fn place_of(&self, reference: u64) -> u64 {
        self.layout.inodes.start.saturating_add(reference >> 16)
    }
}
