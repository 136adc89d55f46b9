//! What a directory holds.

use std::collections::btree_map::{self, BTreeMap, Entry};

use super::{InodeId, Name};
use crate::error::{Error, ErrorKind, Result};

/// A directory's entries, sorted bytewise. Only a [`Tree`](super::Tree) fills them, so that
/// every directory has one parent and no tree a circle.
///
/// A directory cannot be inserted with entries:
///
/// ```compile_fail,E0277
/// use credimg_formats::{Kind, Name, Tree, tree::Entries};
///
/// let entries: Entries = [(Name::new(b"again")?, Tree::ROOT)].into_iter().collect();
/// # Ok::<(), credimg_formats::Error>(())
/// ```
///
/// Nor can those of another directory be taken:
///
/// ```compile_fail,E0308
/// use credimg_formats::{Kind, Metadata, Name, Tree};
///
/// let mut tree = Tree::new(Metadata::default());
/// let Some(Kind::Directory(entries)) = tree.get(Tree::ROOT).map(|root| root.kind()) else {
///     return Ok(());
/// };
/// let kind = Kind::Directory(entries.clone());
/// # Ok::<(), credimg_formats::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Entries(BTreeMap<Name, InodeId>);

/// Iterates over names and inodes, in the order of the names.
pub type Iter<'a> = btree_map::Iter<'a, Name, InodeId>;

impl Entries {
    /// The inode of this name.
    pub fn get(&self, name: &[u8]) -> Option<InodeId> {
        self.0.get(name).copied()
    }

    /// Names and inodes, in the order of the names.
    pub fn iter(&self) -> Iter<'_> {
        self.0.iter()
    }

    /// The names, sorted bytewise.
    pub fn keys(&self) -> btree_map::Keys<'_, Name, InodeId> {
        self.0.keys()
    }

    /// The inodes, in the order of their names.
    pub fn values(&self) -> btree_map::Values<'_, Name, InodeId> {
        self.0.values()
    }

    /// How many there are, `.` and `..` not counted.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the directory holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an entry; a taken name is [`ErrorKind::Conflict`].
    pub(super) fn add(&mut self, name: Name, id: InodeId) -> Result<()> {
        let Entry::Vacant(free) = self.0.entry(name) else {
            return Err(Error::new(ErrorKind::Conflict, "the path is taken already"));
        };
        free.insert(id);
        Ok(())
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = (&'a Name, &'a InodeId);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
