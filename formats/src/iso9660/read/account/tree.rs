//! All directories that a volume descriptor leads to, as they lie in the image: what was moved
//! elsewhere is where it was moved to.

use std::collections::HashSet;

use super::Ledger;
use crate::error::Result;
use crate::iso9660::format::SECTOR_BYTES;
use crate::iso9660::read::volume::Volume;

/// Longest path in a title.
const PATH_MAX_BYTES: usize = 256;

/// Which tree it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The primary one, with Rock Ridge.
    RockRidge,
    /// The primary one without it.
    Plain,
    Joliet,
    /// That of an enhanced descriptor.
    Enhanced,
}

impl Kind {
    /// What titles begin with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::RockRidge | Self::Plain => "",
            Self::Joliet => "Joliet ",
            Self::Enhanced => "enhanced ",
        }
    }
}

/// A directory as its parent's record has it.
pub(super) struct Directory {
    pub(super) start: u64,
    pub(super) length: u64,
    /// Place of the parent among the directories; the root's is its own.
    pub(super) parent: usize,
    pub(super) identifier: Box<[u8]>,
    /// For people.
    pub(super) name: Box<str>,
    /// Where its record is.
    pub(super) record: u64,
    /// `PX` of it.
    pub(super) posix: Option<crate::iso9660::read::rock_ridge::Posix>,
    /// `PL` of its `..`: the block of the directory that it was moved from.
    pub(super) moved_from: Option<u32>,
    /// `RE`: it was moved here, and is not shown.
    pub(super) is_relocated: bool,
}

/// A record whose directory was moved elsewhere.
pub(super) struct Moved {
    pub(super) record: u64,
    /// Where it was moved to, and from which directory.
    pub(super) to: u64,
    pub(super) from: u64,
}

/// One tree on the way through it.
pub(super) struct Tree {
    pub(super) kind: Kind,
    pub(super) block_bytes: u32,
    pub(super) directories: Vec<Directory>,
    pub(super) moved: Vec<Moved>,
}

impl Tree {
    /// The path of a directory, or the end of it, with a slash behind it.
    pub(super) fn path(&self, index: usize) -> String {
        let (mut names, mut length, mut at) = (Vec::new(), 0, index);
        while at != 0
            && let Some(directory) = self.directories.get(at)
        {
            length += directory.name.len() + 1;
            if length > PATH_MAX_BYTES {
                names.push("…");
                break;
            }
            names.push(&*directory.name);
            at = directory.parent;
        }
        names.iter().rev().fold("/".to_owned(), |path, name| path + name + "/")
    }

    /// The path of a directory for titles.
    pub(super) fn shown(&self, index: usize) -> String {
        let path = self.path(index);
        path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(&path).to_owned()
    }
}

impl Ledger<'_> {
    pub(super) fn tree(&mut self, volume: &Volume, kind: Kind) -> Result<()> {
        let root = Directory {
            start: volume.root_bytes(),
            length: volume.record.root.data_bytes.get().into(),
            parent: 0,
            identifier: [0].into(),
            name: "".into(),
            record: u64::from(volume.sector) * SECTOR_BYTES as u64 + 156,
            posix: None,
            moved_from: None,
            is_relocated: false,
        };
        let block_bytes = volume.block_bytes();
        let mut tree = Tree { kind, block_bytes, directories: vec![root], moved: Vec::new() };
        let mut next = 0;
        while next < tree.directories.len() {
            if self.is_new(&tree, next)? {
                self.directory(&mut tree, next)?;
            }
            next += 1;
        }
        self.check_moved(&tree)?;
        self.path_tables(volume, &tree)
    }

    /// Whether a directory overlaps none before it, and so is gone through.
    fn is_new(&mut self, tree: &Tree, index: usize) -> Result<bool> {
        let Some(directory) = tree.directories.get(index) else { return Ok(false) };
        let (start, end) = (directory.start, directory.start.saturating_add(directory.length));
        let before = self.directories.range(..end).next_back();
        let fault = match before {
            Some((other, _)) if *other == start => {
                "expected a directory of its own, got one that is there already"
            }
            Some((_, other_end)) if *other_end > start => {
                "expected a directory of its own, got a part of another one"
            }
            _ => {
                self.directories.insert(start, end);
                return Ok(true);
            }
        };
        self.problem(directory.record, format!("directory record: {fault}"))?;
        Ok(false)
    }

    /// Relocated directories are where they were moved to, and know where from (RRIP 4.1.5).
    fn check_moved(&mut self, tree: &Tree) -> Result<()> {
        let block_bytes = u64::from(tree.block_bytes);
        for moved in &tree.moved {
            let found = tree.directories.iter().find(|directory| directory.start == moved.to);
            match found.map(|directory| directory.moved_from) {
                None => {
                    let message = "CL: expected a directory that is in the image, got none";
                    self.problem(moved.record, message)?;
                }
                Some(from)
                    if from.map(|from| u64::from(from) * block_bytes) != Some(moved.from) =>
                {
                    let message = "CL: expected a directory whose PL leads back, got another one";
                    self.problem(moved.record, message)?;
                }
                Some(_) => {}
            }
        }
        let reached: HashSet<u64> = tree.moved.iter().map(|moved| moved.to).collect();
        // Directories that hold others than those that were moved.
        let holders: HashSet<usize> = tree
            .directories
            .iter()
            .filter(|directory| !directory.is_relocated)
            .map(|directory| directory.parent)
            .collect();
        for (index, directory) in tree.directories.iter().enumerate() {
            // libisofs hides as well the directory of the root that holds them all.
            let is_known = reached.contains(&directory.start)
                || directory.parent == 0 && !holders.contains(&index);
            if directory.is_relocated && !is_known {
                let message = "RE: expected a field CL that leads to the directory, got none";
                self.problem(directory.record, message)?;
            }
        }
        Ok(())
    }
}
