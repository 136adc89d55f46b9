//! Finds files of equal content, so that it is stored once.
//!
//! Only files of equal length are looked at. Of each the first few bytes are
//! digested; only where these are equal, too, the whole. So every file is read
//! at most twice, however many resemble each other, and most are read once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::plan::Plan;
use crate::content::{Content, Sink};
use crate::error::Result;
use crate::tree::{InodeId, Kind};

/// How much of a file is digested at first. A file up to this length is known by that.
const HEAD_BYTES: usize = 4096;

/// Content is told apart by its digest alone, so an attacker must not be able to
/// make two files of one digest.
type Digest = [u8; 32];

pub(super) struct Duplicates<'p, 't> {
    plan: &'p Plan<'t>,
    /// For each head of a longer file, the first one that had it, until its
    /// whole content has been digested.
    heads: BTreeMap<Digest, Option<(InodeId, usize)>>,
    /// Index of the file that holds this content.
    wholes: BTreeMap<Digest, usize>,
}

impl<'p, 't> Duplicates<'p, 't> {
    pub(super) fn new(plan: &'p Plan<'t>) -> Self {
        Self { plan, heads: BTreeMap::new(), wholes: BTreeMap::new() }
    }

    /// The index of an earlier file of the same content. Where there is none,
    /// the file is remembered by `index`.
    pub(super) fn find(
        &mut self,
        id: InodeId,
        content: &Content,
        index: usize,
    ) -> Result<Option<usize>> {
        if self.plan.repeated_lengths.binary_search(&content.len()).is_err() {
            return Ok(None);
        }
        let head = head_digest(content)?;
        if content.len() <= HEAD_BYTES as u64 {
            return Ok(self.enter(head, index));
        }
        match self.heads.insert(head, None) {
            None => {
                self.heads.insert(head, Some((id, index)));
                Ok(None)
            }
            Some(first) => {
                if let Some((first, first_index)) = first
                    && let Kind::File(content) = self.plan.tree.inode(first).kind()
                {
                    let tree = self.plan.tree;
                    let digest =
                        whole_digest(content).map_err(|error| error.at_inode(tree, first))?;
                    self.enter(digest, first_index);
                }
                Ok(self.enter(whole_digest(content)?, index))
            }
        }
    }

    /// The file that has the digest already; else `index` has it from now on.
    fn enter(&mut self, digest: Digest, index: usize) -> Option<usize> {
        let holder = *self.wholes.entry(digest).or_insert(index);
        (holder != index).then_some(holder)
    }
}

fn head_digest(content: &Content) -> Result<Digest> {
    let length = usize::try_from(content.len()).unwrap_or(usize::MAX).min(HEAD_BYTES);
    let mut digest = start_digest(content);
    match content {
        Content::Memory(secret) => digest.update(secret.expose().get(..length).unwrap_or_default()),
        Content::Stream { .. } => {
            let bytes = Zeroizing::new(Vec::with_capacity(length));
            let mut head = Head { bytes, length };
            let outcome = content.stream(&mut head);
            // The head stops a longer stream by an error.
            if head.bytes.len() < length || content.len() <= length as u64 {
                outcome?;
            }
            digest.update(head.bytes.as_slice());
        }
    }
    Ok(digest.finalize().into())
}

fn whole_digest(content: &Content) -> Result<Digest> {
    let mut whole = Whole(start_digest(content));
    content.stream(&mut whole)?;
    Ok(whole.0.finalize().into())
}

fn start_digest(content: &Content) -> Sha256 {
    Sha256::new().chain_update(content.len().to_le_bytes())
}

/// Takes the first bytes and fails on any more.
struct Head {
    bytes: Zeroizing<Vec<u8>>,
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

/// Digests all that streams by.
struct Whole(Sha256);

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Whole {}
