//! What differs between two images, or between an image and the tree that it was made of.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::same::is_same_content;
use super::{Limits, NodeKind, Order, Reader, Step, Walk};
use crate::error::{Error, Result};

/// A path that is not the same in both. It tells what differs, and never what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// The path, with a leading slash.
    pub path: &'a [u8],
    /// What became of it.
    pub change: Change,
}

/// What became of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the new one has it.
    Added(NodeKind),
    /// Only the old one has it.
    Removed(NodeKind),
    /// It is something else in these respects, in their order.
    Changed(Vec<Aspect>),
}

/// A respect in which an inode can differ from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Whether it is a file, a directory, or another kind. What belongs to one kind alone is not
    /// compared then.
    Kind,
    /// A file's content.
    Content,
    /// A link's target.
    Target,
    /// The numbers of a device.
    Device,
    /// Permissions.
    Mode,
    /// Owner or group.
    Owner,
    /// Modification time.
    Time,
    /// Extended attributes: a name or a value.
    Xattrs,
    /// Which paths are hard links of it. Link counts of directories follow from what they
    /// hold, and are not compared.
    Links,
}

/// In which respects two images are compared.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    ignored: Vec<Aspect>,
    whole_seconds: bool,
}

impl Comparison {
    /// All that there is.
    pub fn new() -> Self {
        Self::default()
    }

    /// But for this, which one of the two formats does not hold.
    #[must_use]
    pub fn without(mut self, aspect: Aspect) -> Self {
        self.ignored.push(aspect);
        self
    }

    /// Times in whole seconds.
    #[must_use]
    pub fn whole_seconds(mut self) -> Self {
        self.whole_seconds = true;
        self
    }

    fn is_wanted(&self, aspect: Aspect) -> bool {
        !self.ignored.contains(&aspect)
    }
}

/// Whose fault an error is that ends a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The old image's.
    Old,
    /// The new image's.
    New,
    /// Of whoever takes the differences.
    Caller,
}

/// Compares all paths of two images and gives the differences to `each` in path order; returns
/// how many there are. The old one may be a [`TreeReader`](super::TreeReader), which is streamed
/// only. No content is kept.
pub fn diff(
    old: (&dyn Reader, Limits),
    new: (&dyn Reader, Limits),
    comparison: &Comparison,
    each: &mut dyn FnMut(&Difference<'_>) -> Result<()>,
) -> Result<u64, (Side, Error)> {
    let mut differ = Differ { old: old.0, new: new.0, comparison, links: Links::default() };
    let mut walks = [Walk::new(old.0, old.1, Order::Path), Walk::new(new.0, new.1, Order::Path)];
    let [old_walk, new_walk] = &mut walks;
    let (mut old_step, mut new_step) = (step(old_walk, Side::Old)?, step(new_walk, Side::New)?);
    let mut count = 0;
    loop {
        let order = match (&old_step, &new_step) {
            (None, None) => return Ok(count),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), Some(_)) => compare(old_walk.path(), new_walk.path()),
        };
        let change = match (order, &old_step, &new_step) {
            (Ordering::Less, Some(old), _) => Some(Change::Removed(old.stat.kind)),
            (Ordering::Greater, _, Some(new)) => Some(Change::Added(new.stat.kind)),
            (_, Some(old), Some(new)) => {
                let here = |(side, error): (Side, Error)| (side, error.at(old_walk.path()));
                let aspects = differ.aspects(old, new).map_err(here)?;
                (!aspects.is_empty()).then_some(Change::Changed(aspects))
            }
            (_, _, None) | (_, None, Some(_)) => None,
        };
        if let Some(change) = change {
            count += 1;
            let path = if order.is_gt() { new_walk.path() } else { old_walk.path() };
            each(&Difference { path, change }).map_err(|error| (Side::Caller, error))?;
        }
        if order.is_le() {
            old_step = step(old_walk, Side::Old)?;
        }
        if order.is_ge() {
            new_step = step(new_walk, Side::New)?;
        }
    }
}

fn step(walk: &mut Walk<'_>, side: Side) -> Result<Option<Step>, (Side, Error)> {
    walk.step().map_err(|error| (side, error))
}

/// Path order: by the names on the way, one after the other, so that a slash comes before all
/// that stands in a name. No name holds a NUL.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    one.iter().map(key).cmp(other.iter().map(key))
}

/// Which paths are one inode, on both sides: the place of the first one by the inode's number.
#[derive(Default)]
struct Links {
    old: HashMap<u64, u64>,
    new: HashMap<u64, u64>,
    places: u64,
}

struct Differ<'a> {
    old: &'a dyn Reader,
    new: &'a dyn Reader,
    comparison: &'a Comparison,
    links: Links,
}

impl Differ<'_> {
    /// In which respects two inodes of one path differ.
    fn aspects(&mut self, old: &Step, new: &Step) -> Result<Vec<Aspect>, (Side, Error)> {
        let mut aspects = Vec::new();
        let (was, is) = (&old.stat, &new.stat);
        let mut note = |aspect, differs| {
            if differs && self.comparison.is_wanted(aspect) {
                aspects.push(aspect);
            }
        };
        let of_old = |error| (Side::Old, error);
        let of_new = |error| (Side::New, error);
        match (was.kind, is.kind) {
            (NodeKind::File, NodeKind::File) => {
                if self.comparison.is_wanted(Aspect::Content) {
                    note(Aspect::Content, !is_same_content(self.old, self.new, old, new)?);
                }
            }
            (NodeKind::Symlink, NodeKind::Symlink) => {
                let was = self.old.target(old.inode).map_err(of_old)?;
                note(Aspect::Target, was != self.new.target(new.inode).map_err(of_new)?);
            }
            (NodeKind::CharDevice(was), NodeKind::CharDevice(is))
            | (NodeKind::BlockDevice(was), NodeKind::BlockDevice(is)) => {
                note(Aspect::Device, was != is);
            }
            (was, is) => note(Aspect::Kind, was != is),
        }
        note(Aspect::Mode, was.mode != is.mode);
        note(Aspect::Owner, (was.uid, was.gid) != (is.uid, is.gid));
        note(
            Aspect::Time,
            was.mtime.seconds() != is.mtime.seconds()
                || !self.comparison.whole_seconds
                    && was.mtime.nanoseconds() != is.mtime.nanoseconds(),
        );
        if self.comparison.is_wanted(Aspect::Xattrs) {
            let was = self.old.xattrs(old.inode).map_err(of_old)?;
            note(Aspect::Xattrs, was != self.new.xattrs(new.inode).map_err(of_new)?);
        }
        if was.kind != NodeKind::Directory && is.kind != NodeKind::Directory {
            let links = &mut self.links;
            links.places += 1;
            let first_old = *links.old.entry(was.number).or_insert(links.places);
            let first_new = *links.new.entry(is.number).or_insert(links.places);
            note(Aspect::Links, first_old != first_new || was.links != is.links);
        }
        Ok(aspects)
    }
}
