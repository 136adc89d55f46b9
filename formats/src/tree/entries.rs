//! What a directory holds.

use std::collections::btree_map::{self, BTreeMap, Entry};

use super::{InodeId, Name};
use crate::chunked::{self, Chunked};
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
pub struct Entries(Box<Store>);

/// Host directories are read in order, and then a tree of nodes, with the comparisons that
/// each of its levels takes, would be for nothing.
#[derive(Debug)]
enum Store {
    /// As long as each name comes behind those before it.
    InOrder(Chunked<(Name, InodeId)>),
    /// From the first name on that does not.
    AnyOrder(BTreeMap<Name, InodeId>),
}

impl Default for Store {
    fn default() -> Self {
        Self::InOrder(Chunked::new())
    }
}

/// Iterates over names and inodes, in the order of the names.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Source<'a>);

#[derive(Clone, Debug)]
enum Source<'a> {
    InOrder(chunked::Iter<'a, (Name, InodeId)>),
    AnyOrder(btree_map::Iter<'a, Name, InodeId>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a Name, &'a InodeId);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::InOrder(entries) => entries.next().map(|(name, id)| (name, id)),
            Source::AnyOrder(entries) => entries.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Source::InOrder(entries) => entries.size_hint(),
            Source::AnyOrder(entries) => entries.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::InOrder(entries) => entries.next_back().map(|(name, id)| (name, id)),
            Source::AnyOrder(entries) => entries.next_back(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl Entries {
    /// The inode of this name.
    pub fn get(&self, name: &[u8]) -> Option<InodeId> {
        match &*self.0 {
            // What is asked most often: whether a name is free that comes behind all others.
            Store::InOrder(entries) if entries.last()?.0.as_bytes() < name => None,
            Store::InOrder(entries) => {
                entries.search(|entry| entry.0.as_bytes().cmp(name)).map(|(_, id)| *id)
            }
            Store::AnyOrder(entries) => entries.get(name).copied(),
        }
    }

    /// Names and inodes, in the order of the names.
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &*self.0 {
            Store::InOrder(entries) => Source::InOrder(entries.iter()),
            Store::AnyOrder(entries) => Source::AnyOrder(entries.iter()),
        })
    }

    /// The names, sorted bytewise.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Name> + ExactSizeIterator {
        self.iter().map(|(name, _)| name)
    }

    /// The inodes, in the order of their names.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &InodeId> + ExactSizeIterator {
        self.iter().map(|(_, id)| id)
    }

    /// How many there are, `.` and `..` not counted.
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Whether the directory holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an entry; a taken name is [`ErrorKind::Conflict`].
    pub(super) fn add(&mut self, name: Name, id: InodeId) -> Result<()> {
        if let Store::InOrder(entries) = &mut *self.0 {
            if entries.last().is_none_or(|(last, _)| *last < name) {
                entries.push((name, id));
                return Ok(());
            }
            *self.0 = Store::AnyOrder(std::mem::take(entries).into_iter().collect());
        }
        if let Store::AnyOrder(entries) = &mut *self.0 {
            let Entry::Vacant(free) = entries.entry(name) else {
                return Err(Error::new(ErrorKind::Conflict, "the path is taken already"));
            };
            free.insert(id);
        }
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::Tree;

    #[test]
    fn whatever_order_names_come_in_they_are_found_and_sorted() {
        for names in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"], ["b", "a", "c"]] {
            let mut entries = Entries::default();
            for name in names {
                let name: Name = name.parse().unwrap();
                assert_eq!(entries.get(name.as_bytes()), None);
                entries.add(name.clone(), Tree::ROOT).unwrap();
                assert_eq!(entries.get(name.as_bytes()), Some(Tree::ROOT));
                let error = entries.add(name, Tree::ROOT).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Conflict);
            }
            let sorted: Vec<_> = entries.keys().map(Name::as_bytes).collect();
            assert_eq!(sorted, [b"a", b"b", b"c"], "{names:?}");
            let reversed: Vec<_> = entries.iter().rev().map(|(name, _)| name.as_bytes()).collect();
            assert_eq!(reversed, [b"c", b"b", b"a"], "{names:?}");
            assert_eq!((entries.len(), entries.values().len()), (3, 3));
            assert_eq!(entries.get(b"d"), None);
        }
    }
}
