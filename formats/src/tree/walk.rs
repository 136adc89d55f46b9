//! The walk through a tree: the one order that every format, message and list goes by. It
//! does not depend on the order in which anything was inserted.

use super::{Inode, InodeId, Iter, Kind, Name, Tree};
use crate::error::{Result, inconsistent};

/// An entry that the walk meets.
pub(crate) struct Visit<'t> {
    /// The directory and the name in it; none for the root.
    pub(crate) entry: Option<(InodeId, &'t Name)>,
    pub(crate) id: InodeId,
    pub(crate) inode: &'t Inode,
    /// Whether this is the inode's first path; hard links have others.
    pub(crate) is_first: bool,
}

/// Meets every path of a tree in path order: the root, and behind each directory what it
/// holds, bytewise by name, before what follows the directory.
pub(crate) struct Walk<'t> {
    tree: &'t Tree,
    is_begun: bool,
    /// The directories that the walk is in, and what is left of each. A stack of its own: a
    /// tree may be deeper than the thread's.
    levels: Vec<(InodeId, Iter<'t>)>,
}

impl<'t> Walk<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self { tree, is_begun: false, levels: Vec::new() }
    }

    fn visit(&mut self, entry: Option<(InodeId, &'t Name)>, id: InodeId) -> Visit<'t> {
        let inode = self.tree.inode(id);
        let is_first = if let Kind::Directory(entries) = &inode.kind {
            self.levels.push((id, entries.iter()));
            true
        } else {
            // Where there is but one path nothing is compared.
            inode.links == 1 || entry.is_some_and(|entry| inode.has_first_path(entry))
        };
        Visit { entry, id, inode, is_first }
    }
}

impl<'t> Iterator for Walk<'t> {
    type Item = Visit<'t>;

    fn next(&mut self) -> Option<Visit<'t>> {
        if !self.is_begun {
            self.is_begun = true;
            return Some(self.visit(None, Tree::ROOT));
        }
        loop {
            let (directory, entries) = self.levels.last_mut()?;
            let directory = *directory;
            if let Some((name, id)) = entries.next() {
                return Some(self.visit(Some((directory, name)), *id));
            }
            self.levels.pop();
        }
    }
}

/// The inodes of a tree in path order, for a plan that goes through them more than once.
#[derive(Debug)]
pub(crate) struct Order {
    ids: Vec<InodeId>,
    /// By [`InodeId::index`].
    places: Vec<u32>,
}

impl Order {
    /// The order of `tree`. Metadata that [`Tree::insert`] would not have taken is refused: the
    /// root's was never checked, and any other may have been changed since.
    pub(crate) fn of(tree: &Tree) -> Result<Self> {
        let mut order = Self { ids: Vec::with_capacity(tree.len()), places: vec![0; tree.len()] };
        for (place, (id, inode)) in (0..).zip(tree.inodes()) {
            inode.metadata.check().map_err(|error| error.at_inode(tree, id))?;
            *order.places.get_mut(id.index()).ok_or_else(inconsistent)? = place;
            order.ids.push(id);
        }
        Ok(order)
    }

    /// The inodes of the tree that the order is of, the root first.
    pub(crate) fn inodes<'t>(
        &self,
        tree: &'t Tree,
    ) -> impl Iterator<Item = (InodeId, &'t Inode)> + Clone {
        self.ids.iter().map(|id| (*id, tree.inode(*id)))
    }

    /// Place of an inode, from 0, the root's, on.
    pub(crate) fn place(&self, id: InodeId) -> usize {
        self.places.get(id.index()).map_or(0, |place| *place as usize)
    }

    /// A number from 1, the root's, on, for formats whose inodes carry one.
    pub(crate) fn number(&self, id: InodeId) -> u32 {
        self.places.get(id.index()).map_or(0, |place| place + 1)
    }
}
