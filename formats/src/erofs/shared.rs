//! Data that several inodes share: the whole blocks of equal files, and the targets of equal
//! links that are too long to stand in their inodes, are stored once. Nothing but two inodes
//! of one first block tells of it, so that every kernel reads it.
//!
//! Files are compared before anything is laid out, as the layout is known before a byte is
//! written: of files of equal length that are streamed the first bytes are read then, and
//! where those are equal the whole.

use std::collections::BTreeMap;
use std::hash::RandomState;

use super::inode::Shape;
use crate::content::Content;
use crate::duplicates::{Duplicates, is_repeated, keep_repeated, with_heads};
use crate::error::{Error, Result, inconsistent};
use crate::tree::{Kind, Order, Tree};

/// Says in `shapes`, which are in the order, which inodes have the same data blocks. A file that
/// is not stored in blocks, or whose length no other one has, is not looked at.
pub(super) fn find(tree: &Tree, order: &Order, shapes: &mut [Shape], threads: usize) -> Result<()> {
    let in_blocks = order.inodes(tree).zip(&*shapes).filter(|(_, shape)| shape.data_blocks > 0);
    let contents = in_blocks.clone().filter_map(|((_, inode), _)| inode.kind().content());
    let repeated = keep_repeated(&mut contents.clone().map(Content::len).collect::<Vec<_>>());
    let looked_at = contents.filter(|content| is_repeated(content, &repeated));
    let hasher = RandomState::new();
    let mut links = BTreeMap::new();
    // The end of a file of large attributes is in a block as well: such files have more blocks.
    let mut with_tail = Duplicates::with_hasher(tree, &repeated, hasher.clone());
    let mut without_tail = Duplicates::with_hasher(tree, &repeated, hasher.clone());
    let found = with_heads(threads, &hasher, looked_at, |next_head| {
        let mut found = Vec::new();
        for ((id, inode), shape) in in_blocks.clone() {
            let index = order.place(id);
            let first = match inode.kind() {
                Kind::File(content) if is_repeated(content, &repeated) => {
                    let files =
                        if shape.tail_bytes() > 0 { &mut with_tail } else { &mut without_tail };
                    let head = next_head().ok_or_else(inconsistent)?;
                    head.and_then(|head| files.find_by_head(head, id, content, None, index))
                        .map_err(|error| error.at_inode(tree, id))?
                }
                Kind::Symlink(target) => {
                    let first = *links.entry(target).or_insert(index);
                    (first != index).then_some(first)
                }
                Kind::File(_)
                | Kind::Directory(_)
                | Kind::CharDevice(_)
                | Kind::BlockDevice(_)
                | Kind::Fifo
                | Kind::Socket => None,
            };
            found.extend(first.map(|first| (first, index)));
        }
        Ok::<_, Error>(found)
    })?;
    for (first, other) in found {
        let shared_with = u32::try_from(first).map_err(|_| inconsistent())?;
        for index in [first, other] {
            shapes.get_mut(index).ok_or_else(inconsistent)?.shared_with = Some(shared_with);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use super::super::{Options, Plan};
    use crate::{
        Content, Error, ErrorKind, InodeId, Kind, Metadata, Name, Result, Secret, Sink, Source,
        Tree,
    };

    /// Delivers so many bytes of one kind; counts them, and how often it was asked.
    struct Counted {
        bytes: Vec<u8>,
        taken: Arc<AtomicUsize>,
        calls: AtomicUsize,
        /// From this call on it says that it has changed.
        changes_at: usize,
    }

    impl Source for Counted {
        fn stream(&self, _planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
            let call = self.calls.fetch_add(1, Relaxed) + 1;
            for piece in self.bytes.chunks(1000) {
                sink.write_all(piece)?;
                self.taken.fetch_add(piece.len(), Relaxed);
            }
            if call >= self.changes_at {
                return Err(Error::new(ErrorKind::Changed, "it changed"));
            }
            Ok(())
        }
    }

    fn memory(bytes: Vec<u8>) -> Content {
        Content::Memory(Secret::new(bytes))
    }

    fn streamed(bytes: Vec<u8>, taken: &Arc<AtomicUsize>, changes_at: usize) -> Content {
        let length_bytes = bytes.len() as u64;
        let (taken, calls) = (Arc::clone(taken), AtomicUsize::default());
        Content::Stream {
            length_bytes,
            source: Box::new(Counted { bytes, taken, calls, changes_at }),
        }
    }

    fn insert(tree: &mut Tree, name: &str, metadata: Metadata, kind: Kind) -> InodeId {
        tree.insert(Tree::ROOT, Name::new(name.as_bytes()).unwrap(), metadata, kind).unwrap()
    }

    fn tree_of(contents: Vec<Content>) -> Tree {
        let mut tree = Tree::new(Metadata::default());
        for (index, content) in contents.into_iter().enumerate() {
            insert(&mut tree, &format!("{index:04}"), Metadata::default(), Kind::File(content));
        }
        tree
    }

    fn image_of(contents: Vec<Content>) -> Vec<u8> {
        let tree = tree_of(contents);
        let plan = Plan::new(&tree, Options::default()).unwrap();
        let mut image = Vec::new();
        plan.write(&mut image).unwrap();
        assert_eq!(image.len() as u64, plan.size_bytes());
        image
    }

    fn noise(length: usize, seed: u32) -> Vec<u8> {
        let mut state = seed + 1;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [first, ..] = state.to_be_bytes();
            first
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn whole_blocks_of_equal_files_are_stored_once_in_memory_and_streamed() {
        let taken = Arc::default();
        for length in [4096, 4097, 8191, 8192, 100_000] {
            let bytes = || noise(length, 1);
            let one = image_of(vec![memory(bytes())]).len();
            let all = || vec![memory(bytes()), streamed(bytes(), &taken, 9), memory(bytes())];
            let three = image_of(all());
            // Two more inodes with their tails at most.
            let more = three.len() - one;
            assert!(more <= 2 * 4096, "{length}: {more} bytes more");
            let start = bytes();
            let start = start.get(..4096).unwrap();
            assert_eq!(three.chunks(4096).filter(|block| *block == start).count(), 1);
            assert!(three == image_of(all().into_iter().rev().collect()), "{length}");
        }
    }

    #[test]
    fn files_without_a_whole_block_or_of_their_own_length_are_not_read_before() {
        let taken = Arc::<AtomicUsize>::default();
        let mut contents: Vec<_> = (0..5).map(|_| streamed(noise(3000, 1), &taken, 9)).collect();
        contents.extend((0..5).map(|index| streamed(noise(9000 + index, 1), &taken, 9)));
        let tree = tree_of(contents);
        let plan = Plan::new(&tree, Options::default()).unwrap();
        assert_eq!(taken.load(Relaxed), 0);
        plan.write(&mut Vec::new()).unwrap();
        assert_eq!(taken.load(Relaxed), 5 * 3000 + 5 * 9000 + 10);
    }

    #[test]
    fn files_that_differ_are_not_taken_for_equal() {
        let mut contents = Vec::new();
        for place in [0, 4095, 4096, 11_999] {
            let mut bytes = noise(12_000, 1);
            *bytes.get_mut(place).unwrap() ^= 1;
            contents.push(memory(bytes));
        }
        assert!(image_of(contents).len() > 4 * 8192);
    }

    /// Its end is in a block there, for which no block of the other has the room.
    #[test]
    fn equal_files_of_which_one_has_large_attributes_are_stored_apart() {
        let large = |index: usize| {
            let mut metadata = Metadata::default();
            let value = Secret::new(vec![b'x'; if index < 2 { 3000 } else { 0 }]);
            metadata.xattrs.insert(b"security.label".as_slice().into(), value);
            metadata
        };
        let mut tree = Tree::new(Metadata::default());
        for index in 0..4 {
            let kind = Kind::File(memory(noise(4096 + 3000, 1)));
            insert(&mut tree, &format!("{index}"), large(index), kind);
        }
        let mut image = Vec::new();
        Plan::new(&tree, Options::default()).unwrap().write(&mut image).unwrap();
        let bytes = noise(4096 + 3000, 1);
        let first = bytes.get(..4096).unwrap();
        assert_eq!(image.chunks(4096).filter(|block| *block == first).count(), 2);
    }

    #[test]
    fn equal_long_targets_are_stored_once() {
        let size = |links: u8| {
            let mut tree = Tree::new(Metadata::default());
            for index in 0..links {
                let target = vec![b'x'; 4090].into();
                insert(&mut tree, &format!("{index}"), Metadata::default(), Kind::Symlink(target));
            }
            Plan::new(&tree, Options::default()).unwrap().size_bytes()
        };
        assert_eq!(size(9), size(1));
    }

    #[test]
    fn a_source_that_changes_is_named_whenever_that_happens() {
        let taken = Arc::default();
        // The head, the whole and the writing: the first is stored, the second is its equal.
        for changed in [0, 1] {
            for (changes_at, in_plan) in [(2, true), (3, false)] {
                let at = |index| if index == changed { changes_at } else { usize::MAX };
                let streams = (0..2).map(|index| streamed(noise(9000, 1), &taken, at(index)));
                let tree = tree_of(streams.collect());
                let planned = Plan::new(&tree, Options::default());
                assert_eq!(planned.is_err(), in_plan, "{changed} {changes_at}");
                let outcome = planned.and_then(|plan| plan.write(&mut Vec::new()));
                let error = outcome.unwrap_err();
                let path = format!("/000{changed}");
                assert_eq!(error.kind(), ErrorKind::Changed, "{changed} {changes_at}");
                assert_eq!(error.path(), Some(path.as_bytes()));
            }
        }
    }
}
