//! Finds files of equal content, so that it is stored once.
//!
//! Only files of equal length are looked at. Of each the first few bytes are
//! hashed; only where these are equal, too, the whole is digested. So every file is read
//! at most twice, however many resemble each other, and most are read once.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use crate::ahead::work_ahead;
use crate::content::{Content, Sink, Wiped};
use crate::error::{Result, inconsistent};
use crate::tree::{InodeId, Kind, Tree};
use crate::zeros::SparseDigest;

/// How much of a file is hashed at first: more than what files of one type begin with, and
/// little where lengths agree by chance.
const HEAD_BYTES: usize = 512;
/// Starting a thread takes as long as opening some twenty files.
const FEWEST_HEADS: usize = 64;
/// How many heads are hashed at a time.
const BATCH_HEADS: usize = 32;

/// Content is told apart by its digest alone, so an attacker must not be able to
/// make two files of one digest.
type Digest = [u8; 32];

/// The values that occur more than once, in rising order.
pub(crate) fn keep_repeated(values: &mut [u64]) -> Vec<u64> {
    values.sort_unstable();
    let groups = values.chunk_by(|one, other| one == other);
    groups.filter(|group| group.len() > 1).filter_map(|group| group.first().copied()).collect()
}

/// The files of a tree that were looked at so far.
pub(crate) struct Duplicates<'p, 't> {
    tree: &'t Tree,
    /// Lengths that more than one file has, in rising order.
    repeated_lengths: &'p [u64],
    /// By the hash of length and head: the first file that had it, until its whole content has
    /// been digested. There may be very many.
    heads: HashMap<u32, Option<First>>,
    /// Index of the file that holds this content.
    wholes: HashMap<Digest, usize>,
}

/// A file of which the head alone was looked at.
#[derive(Clone, Copy)]
struct First {
    /// By [`InodeId::index`].
    inode: u32,
    index: u32,
}

impl<'p, 't> Duplicates<'p, 't> {
    /// None is looked at yet. Of `repeated_lengths` see [`keep_repeated`].
    pub(crate) fn new(tree: &'t Tree, repeated_lengths: &'p [u64]) -> Self {
        Self::with_hasher(tree, repeated_lengths, RandomState::new())
    }

    /// None is looked at yet; heads are hashed by this.
    pub(crate) fn with_hasher(
        tree: &'t Tree,
        repeated_lengths: &'p [u64],
        hasher: RandomState,
    ) -> Self {
        let heads = HashMap::with_hasher(hasher);
        Self { tree, repeated_lengths, heads, wholes: HashMap::new() }
    }

    /// The index of an earlier file of the same content. Where there is none,
    /// the file is remembered by `index`. `read` holds the content where
    /// the caller has read it already.
    pub(crate) fn find(
        &mut self,
        id: InodeId,
        content: &Content,
        read: Option<&[u8]>,
        index: usize,
    ) -> Result<Option<usize>> {
        if !is_repeated(content, self.repeated_lengths) {
            return Ok(None);
        }
        let head = head_hash(self.heads.hasher(), content, read)?;
        self.find_by_head(head, id, content, read, index)
    }

    /// [Finds](Self::find) a file, one of a [repeated length](is_repeated), of whose head this is
    /// the hash, by the hasher that it was [made with](Self::with_hasher).
    pub(crate) fn find_by_head(
        &mut self,
        head: u32,
        id: InodeId,
        content: &Content,
        read: Option<&[u8]>,
        index: usize,
    ) -> Result<Option<usize>> {
        let Some(first) = self.heads.insert(head, None) else {
            let narrow = |index: usize| u32::try_from(index).map_err(|_| inconsistent());
            let first = First { inode: narrow(id.index())?, index: narrow(index)? };
            self.heads.insert(head, Some(first));
            return Ok(None);
        };
        if let Some(First { inode, index }) = first
            && let Some(id) = self.tree.id_at(inode.into())
            && let Kind::File(content) = self.tree.inode(id).kind()
        {
            let digest =
                whole_digest(content, None).map_err(|error| error.at_inode(self.tree, id))?;
            self.enter(digest, index as usize);
        }
        Ok(self.enter(whole_digest(content, read)?, index))
    }

    /// The file that has the digest already; else `index` has it from now on.
    fn enter(&mut self, digest: Digest, index: usize) -> Option<usize> {
        let holder = *self.wholes.entry(digest).or_insert(index);
        (holder != index).then_some(holder)
    }
}

/// Whether more than one file has the length of this content.
pub(crate) fn is_repeated(content: &Content, repeated_lengths: &[u64]) -> bool {
    repeated_lengths.binary_search(&content.len()).is_ok()
}

/// Calls `find` with a function that returns of each of `contents` in turn the hash of its head.
/// Where there are many that have to be opened, threads do that ahead.
pub(crate) fn with_heads<'c, T>(
    threads: usize,
    hasher: &RandomState,
    contents: impl Iterator<Item = &'c Content> + Clone + Send,
    find: impl FnOnce(&mut dyn FnMut() -> Option<Result<u32>>) -> T,
) -> T {
    let is_opened = |content: &&Content| matches!(content, Content::Stream { .. });
    let mut contents = contents;
    if threads < 2 || contents.clone().filter(is_opened).nth(FEWEST_HEADS - 1).is_none() {
        return find(&mut || Some(head_hash(hasher, contents.next()?, None)));
    }
    let batches = std::iter::from_fn(move || {
        let batch: Vec<&Content> = contents.by_ref().take(BATCH_HEADS).collect();
        (!batch.is_empty()).then_some(batch)
    });
    let hash = |batch: Vec<&Content>, _: Option<Vec<Result<u32>>>| {
        batch.into_iter().map(|content| head_hash(hasher, content, None)).collect::<Vec<_>>()
    };
    work_ahead(threads, batches, hash, |taker| {
        let mut batch = Vec::new().into_iter();
        find(&mut || {
            if batch.len() == 0 {
                batch = taker.next()?.into_iter();
            }
            batch.next()
        })
    })
}

/// The hash of a content's length and head. Two heads of one hash cost time and nothing else.
fn head_hash(hasher: &RandomState, content: &Content, read: Option<&[u8]>) -> Result<u32> {
    let length = usize::try_from(content.len()).unwrap_or(usize::MAX).min(HEAD_BYTES);
    let hash = |bytes: &[u8]| {
        let [.., a, b, c, d] = hasher.hash_one((content.len(), bytes)).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    };
    match (content, read) {
        (_, Some(bytes)) => Ok(hash(bytes.get(..length).unwrap_or_default())),
        (Content::Memory(secret), None) => {
            Ok(hash(secret.expose().get(..length).unwrap_or_default()))
        }
        (Content::Stream { .. }, None) => {
            let bytes = Wiped::with_capacity(length);
            let mut head = Head { bytes, length };
            let outcome = content.stream(&mut head);
            // The head stops a longer stream by an error.
            if head.bytes.len() < length || content.len() <= length as u64 {
                outcome?;
            }
            Ok(hash(&head.bytes))
        }
    }
}

fn whole_digest(content: &Content, read: Option<&[u8]>) -> Result<Digest> {
    let mut whole = SparseDigest::new(Sha256::new().chain_update(content.len().to_le_bytes()));
    match read {
        Some(bytes) => whole.write_all(bytes)?,
        None => content.stream(&mut whole)?,
    }
    Ok(whole.finish())
}

/// Takes the first bytes and fails on any more.
struct Head {
    bytes: Wiped,
    length: usize,
}

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.length - self.bytes.len();
        if room == 0 && !bytes.is_empty() {
            return Err(io::Error::other("the head is complete"));
        }
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.bytes.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Head {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        let room = (self.length - self.bytes.len()) as u64;
        let wanted = length_bytes.min(room);
        let copied = file.take(wanted).read_to_end(&mut self.bytes)? as u64;
        if copied == wanted && length_bytes > wanted {
            return Err(io::Error::other("the head is complete"));
        }
        Ok(copied)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::squashfs::{BlockSize, Options, Plan};
    use crate::{Metadata, Name, Secret, Source, Tree};

    /// Counts how many bytes are taken from it.
    struct Counted {
        bytes: Vec<u8>,
        taken_bytes: Arc<AtomicUsize>,
    }

    impl Source for Counted {
        fn stream(&self, _planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
            for piece in self.bytes.chunks(1000) {
                sink.write_all(piece)?;
                self.taken_bytes.fetch_add(piece.len(), Ordering::Relaxed);
            }
            Ok(())
        }
    }

    /// The image of these files as streams, and how many bytes were read for it.
    fn image_of(files: &[Vec<u8>]) -> (Vec<u8>, usize) {
        let taken_bytes = Arc::new(AtomicUsize::new(0));
        let mut tree = Tree::new(Metadata::default());
        for (index, bytes) in files.iter().enumerate() {
            let source = Counted { bytes: bytes.clone(), taken_bytes: Arc::clone(&taken_bytes) };
            let content =
                Content::Stream { length_bytes: bytes.len() as u64, source: Box::new(source) };
            let name = Name::new(format!("{index:04}").as_bytes()).unwrap();
            tree.insert(Tree::ROOT, name, Metadata::default(), Kind::File(content)).unwrap();
        }
        let mut image = Vec::new();
        Plan::new(&tree, Options::default()).unwrap().write(&mut image).unwrap();
        (image, taken_bytes.load(Ordering::Relaxed))
    }

    fn noise(length: usize, seed: u8) -> Vec<u8> {
        let mut state = u32::from(seed) + 1;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [first, ..] = state.to_be_bytes();
            first
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn equal_files_are_stored_once() {
        for length in [10, 512, 513, 4096, 4097, 131_071, 131_072, 300_000] {
            let (one, _) = image_of(&[noise(length, 1)]);
            let (five, _) = image_of(&vec![noise(length, 1); 5]);
            // Four more inodes and directory entries at most.
            assert!(five.len() <= one.len() + 4096, "{length}: {} and {}", one.len(), five.len());
        }
    }

    #[test]
    fn files_that_begin_alike_are_told_apart_and_read_twice_at_most() {
        let length = 200_000;
        let mut files = vec![noise(length, 1); 20];
        for (index, file) in files.iter_mut().enumerate() {
            *file.last_mut().unwrap() = u8::try_from(index).unwrap();
        }
        let (image, taken_bytes) = image_of(&files);
        assert!(image.len() >= 20 * length);
        let twice = 2 * 20 * length;
        let heads = 20 * (HEAD_BYTES + 1000);
        assert!(taken_bytes <= twice + heads, "{taken_bytes} bytes were read");
    }

    #[test]
    fn small_files_that_begin_alike_are_read_once_but_for_the_first() {
        let mut files = vec![noise(5000, 1); 20];
        for (index, file) in files.iter_mut().enumerate() {
            *file.last_mut().unwrap() = u8::try_from(index / 2).unwrap();
        }
        let (image, taken_bytes) = image_of(&files);
        assert!(image.len() < 10 * 5000 + 8192);
        assert_eq!(taken_bytes, 21 * 5000);
    }

    #[test]
    fn files_of_other_lengths_or_starts_are_read_once() {
        let files: Vec<_> = (0..20).map(|index| noise(200_000, index)).collect();
        let (_, taken_bytes) = image_of(&files);
        assert!(taken_bytes <= 20 * (200_000 + HEAD_BYTES + 1000), "{taken_bytes} bytes were read");
        let files: Vec<_> = (0..20).map(|index| noise(100_000 + index, 1)).collect();
        let (_, taken_bytes) = image_of(&files);
        assert_eq!(taken_bytes, files.iter().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn a_source_that_shrinks_between_two_reads_is_an_error() {
        struct Shrinking(AtomicUsize);
        impl Source for Shrinking {
            fn stream(&self, _planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
                let length = self.0.fetch_sub(1, Ordering::Relaxed);
                Ok(sink.write_all(&vec![1; length])?)
            }
        }
        let mut tree = Tree::new(Metadata::default());
        let other = Content::Memory(Secret::new(vec![2; 5000]));
        let source = Box::new(Shrinking(AtomicUsize::new(5000)));
        let shrinking = Content::Stream { length_bytes: 5000, source };
        for (name, content) in [(b"a", other), (b"b", shrinking)] {
            let name = Name::new(name).unwrap();
            tree.insert(Tree::ROOT, name, Metadata::default(), Kind::File(content)).unwrap();
        }
        // Files as long as blocks: a smaller one is read once.
        let options = Options::default().block_size(BlockSize::new(4096).unwrap());
        let plan = Plan::new(&tree, options).unwrap();
        let error = plan.write(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Changed);
        assert_eq!(error.path(), Some(&b"/b"[..]));
    }
}
