//! The walk through an image: iterative, and with an end whatever the image says.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::{InodeRef, Limits, NodeKind, Reader, Stat, names};
use crate::error::{Error, ErrorKind, Result};

/// In which order the entries of a directory come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Bytewise by name, as in the path order of a [`Tree`](crate::Tree). A name that is there
    /// twice is found.
    Path,
    /// As they stand in the image.
    Image,
}

/// What the walk has come to.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The inode.
    pub inode: InodeRef,
    /// What it says of itself.
    pub stat: Stat,
    /// How many directories it is in: 0 for the root.
    pub depth: usize,
}

/// Comes to every path of an image: the root, and behind each directory what it holds before
/// what follows the directory. The entries of the directories that it is in are all that it keeps.
///
/// After an error it can go on: what could not be read is left out.
pub struct Walk<'r> {
    reader: &'r dyn Reader,
    limits: Limits,
    order: Order,
    /// Entries so far, the root counted.
    listed: u64,
    /// Where it begins.
    start: InodeRef,
    /// Of what the walk has come to; empty for the root.
    path: Vec<u8>,
    levels: Vec<Level>,
    /// Numbers of the directories so far.
    seen: HashSet<u64>,
    pending: Option<Pending>,
}

/// What the next step begins with.
enum Pending {
    Root,
    /// The entries of the directory that the last step came to.
    Entries(InodeRef),
}

/// A directory that the walk is in.
#[derive(Default)]
struct Level {
    /// All names, one behind the other.
    names: Vec<u8>,
    entries: Vec<Listed>,
    /// How many of the entries the walk has come to.
    done: usize,
    /// Length of the directory's path.
    path_bytes: usize,
}

struct Listed {
    name_start: usize,
    name_bytes: usize,
    inode: InodeRef,
}

impl Level {
    fn name(&self, entry: &Listed) -> &[u8] {
        let rest = self.names.get(entry.name_start..).unwrap_or_default();
        rest.get(..entry.name_bytes).unwrap_or_default()
    }

    /// Sorts the entries; a name that is there twice is an error.
    fn sort(&mut self) -> Result<()> {
        let mut entries = std::mem::take(&mut self.entries);
        let by_name = |one: &Listed, other: &Listed| self.name(one).cmp(self.name(other));
        if !entries.is_sorted_by(|one, other| by_name(one, other).is_lt()) {
            entries.sort_unstable_by(by_name);
        }
        let is_twice = entries.windows(2).any(|pair| match pair {
            [one, other] => self.name(one) == self.name(other),
            _ => false,
        });
        self.entries = entries;
        if is_twice {
            let message = "the directory holds two entries of one name";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(())
    }
}

impl<'r> Walk<'r> {
    /// A walk that begins with the root.
    pub fn new(reader: &'r dyn Reader, limits: Limits, order: Order) -> Self {
        Self::below(reader, limits, order, (reader.root(), Vec::new()))
    }

    /// A walk that begins with a directory, which is at this path: with a leading slash, and
    /// empty for the root.
    pub fn below(
        reader: &'r dyn Reader,
        limits: Limits,
        order: Order,
        (start, path): (InodeRef, Vec<u8>),
    ) -> Self {
        Self {
            reader,
            limits,
            order,
            listed: 1,
            start,
            path,
            levels: Vec::new(),
            seen: HashSet::new(),
            pending: Some(Pending::Root),
        }
    }

    /// Where the walk has come to, with a leading slash.
    pub fn path(&self) -> &[u8] {
        if self.path.is_empty() { b"/" } else { &self.path }
    }

    /// Leaves out what the directory holds that the last step came to.
    pub fn skip(&mut self) {
        self.pending = None;
    }

    /// Goes on; none at the end. An error has its path.
    pub fn step(&mut self) -> Result<Option<Step>> {
        match self.pending.take() {
            Some(Pending::Root) => return self.arrive(self.start).map(Some),
            Some(Pending::Entries(directory)) => self.enter(directory)?,
            None => {}
        }
        loop {
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            self.path.truncate(level.path_bytes);
            if let Some(entry) = level.entries.get(level.done) {
                let inode = entry.inode;
                self.path.push(b'/');
                self.path.extend(level.name(entry));
                level.done += 1;
                return self.arrive(inode).map(Some);
            }
            self.levels.pop();
        }
    }

    fn arrive(&mut self, inode: InodeRef) -> Result<Step> {
        let stat = self.reader.stat(inode).map_err(|error| error.at(self.path()))?;
        if stat.kind == NodeKind::Directory {
            if !self.seen.insert(stat.number) {
                let message = "the directory is inside itself or has two parents";
                return Err(Error::new(ErrorKind::Corrupt, message).at(self.path()));
            }
            self.pending = Some(Pending::Entries(inode));
        } else if self.levels.is_empty() {
            let message = "the root is no directory";
            return Err(Error::new(ErrorKind::Corrupt, message).at(self.path()));
        }
        Ok(Step { inode, stat, depth: self.levels.len() })
    }

    fn enter(&mut self, directory: InodeRef) -> Result<()> {
        let mut level = self.list(directory).map_err(|error| error.at(self.path()))?;
        level.path_bytes = self.path.len();
        self.levels.push(level);
        Ok(())
    }

    fn list(&mut self, directory: InodeRef) -> Result<Level> {
        let mut level = Level::default();
        let listed = &mut self.listed;
        let limit = self.limits.inodes;
        self.reader.entries(directory, &mut |entry| {
            names::check(entry.name)?;
            *listed += 1;
            if *listed > limit {
                let message = format!("the image has more than {limit} entries");
                return Err(Error::new(ErrorKind::Limit, message));
            }
            let name_start = level.names.len();
            level.names.extend(entry.name);
            let name_bytes = entry.name.len();
            level.entries.push(Listed { name_start, name_bytes, inode: entry.inode });
            Ok(ControlFlow::Continue(()))
        })?;
        if !level.entries.is_empty() && self.levels.len() >= self.limits.depth {
            let message =
                format!("directories are nested deeper than {} levels", self.limits.depth);
            return Err(Error::new(ErrorKind::Limit, message));
        }
        match self.order {
            Order::Path => level.sort()?,
            Order::Image => {}
        }
        Ok(level)
    }
}
