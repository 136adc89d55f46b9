//! File data: cut into blocks and packed into fragments as it streams by.
//!
//! A file of a block or more takes blocks of its own, the last one as short as
//! it is. A smaller file goes into a fragment block, which it shares with its
//! neighbours. A block that is all zero is a hole and not stored at all.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use zerocopy::little_endian::{U32, U64};
use zeroize::Zeroizing;

use super::format::FragmentEntry;
use super::plan::Plan;
use super::queue::{Ledger, Output, Owner, Pool, Queue};
use crate::compress::Packer;
use crate::content::{Content, Sink};
use crate::duplicates::Duplicates;
use crate::error::{Result, inconsistent};
use crate::tree::{InodeId, Kind};

/// Starting threads takes as long as compressing a few hundred KiB.
const WORTH_THREADS_BYTES: u64 = 1 << 20;

/// More threads than this have nothing to do on most machines, and each takes memory.
const THREADS_MAX: usize = 64;

/// Where everything went.
pub(super) struct Data {
    files: Vec<StoredFile>,
    /// The fragment table.
    pub(super) fragments: Vec<FragmentEntry>,
    /// Index of an inode's content in `files`; none for what is no file.
    by_inode: Vec<Option<usize>>,
}

impl Data {
    /// Where the content of `id`, a file, went.
    pub(super) fn file(&self, id: InodeId) -> Result<&StoredFile> {
        let index = self.by_inode.get(id.index()).copied().flatten();
        index.and_then(|index| self.files.get(index)).ok_or_else(inconsistent)
    }
}

/// Where the content of a file went.
#[derive(Default)]
pub(super) struct StoredFile {
    /// First block that is stored; none for an empty file, one in a fragment and one of holes only.
    pub(super) start: Option<u64>,
    /// Stored lengths of its blocks, 0 for a hole.
    pub(super) block_sizes: Vec<u32>,
    /// Index of its fragment block and where in it the content starts.
    pub(super) fragment: Option<(u32, u32)>,
}

/// Writes the content of all files.
pub(super) fn write(plan: &Plan<'_>, output: &mut Output<'_>) -> Result<Data> {
    let options = &plan.options;
    let block_bytes = options.block_size.in_memory();
    let arrivals = Arrivals::default();
    let is_worth_threads = options.threads > 1
        && !options.compression.is_none()
        && plan.content_bytes >= WORTH_THREADS_BYTES;
    if !is_worth_threads {
        let packer = Packer::new(options.compression, block_bytes);
        return Writer::new(plan, Queue::here(output, arrivals, packer)).run();
    }
    // Nor more than there are blocks.
    let blocks = usize::try_from(plan.content_bytes / block_bytes as u64).unwrap_or(usize::MAX);
    let threads = options.threads.min(THREADS_MAX).min(blocks.max(1));
    let (pool, jobs) = Pool::new(threads);
    std::thread::scope(|scope| {
        jobs.start(scope, threads, options.compression, block_bytes)?;
        Writer::new(plan, Queue::threads(output, arrivals, pool)).run()
    })
}

#[derive(Default)]
struct Arrivals {
    files: Vec<StoredFile>,
    fragments: Vec<FragmentEntry>,
}

impl Ledger for Arrivals {
    fn enter(&mut self, owner: Owner, start: u64, size: u32) {
        match owner {
            Owner::File(index) => {
                if let Some(file) = self.files.get_mut(index) {
                    file.block_sizes.push(size);
                    if size > 0 {
                        file.start.get_or_insert(start);
                    }
                }
            }
            Owner::Fragment => self.fragments.push(FragmentEntry {
                start: U64::new(start),
                size: U32::new(size),
                reserved: U32::ZERO,
            }),
        }
    }
}

struct Writer<'p, 't, 's, 'o> {
    plan: &'p Plan<'t>,
    queue: Queue<'s, 'o, Arrivals>,
    duplicates: Duplicates<'p, 't>,
    by_inode: Vec<Option<usize>>,
    /// The open fragment block.
    fragment: Zeroizing<Vec<u8>>,
    closed_fragments: u32,
    /// Holds a block while it fills up.
    block: Zeroizing<Vec<u8>>,
}

impl<'p, 't, 's, 'o> Writer<'p, 't, 's, 'o> {
    fn new(plan: &'p Plan<'t>, queue: Queue<'s, 'o, Arrivals>) -> Self {
        Self {
            plan,
            queue,
            duplicates: Duplicates::new(plan.tree, &plan.repeated_lengths),
            by_inode: vec![None; plan.tree.len()],
            fragment: Zeroizing::default(),
            closed_fragments: 0,
            block: Zeroizing::default(),
        }
    }

    fn run(mut self) -> Result<Data> {
        let Plan { tree, order, .. } = self.plan;
        for id in order {
            if let Kind::File(content) = tree.inode(*id).kind() {
                let index = self.file(*id, content).map_err(|error| error.at_inode(tree, *id))?;
                *self.by_inode.get_mut(id.index()).ok_or_else(inconsistent)? = Some(index);
            }
        }
        self.close_fragment()?;
        let Arrivals { files, fragments } = self.queue.finish()?;
        Ok(Data { files, fragments, by_inode: self.by_inode })
    }

    /// Writes a file, or finds one of the same content; returns its index.
    fn file(&mut self, id: InodeId, content: &Content) -> Result<usize> {
        let index = self.queue.ledger().files.len();
        if let Some(same) = self.duplicates.find(id, content, index)? {
            return Ok(same);
        }
        self.queue.ledger().files.push(StoredFile::default());
        match content {
            _ if content.is_empty() => {}
            _ if content.len() >= u64::from(self.plan.options.block_size.bytes()) => {
                self.blocks(index, content)?;
            }
            Content::Memory(secret) => self.small(index, secret.expose())?,
            Content::Stream { length_bytes, .. } => {
                let capacity = usize::try_from(*length_bytes).map_err(|_| inconsistent())?;
                let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
                content.stream(&mut *bytes)?;
                self.small(index, &bytes)?;
            }
        }
        Ok(index)
    }

    fn blocks(&mut self, index: usize, content: &Content) -> Result<()> {
        self.block.resize(self.plan.options.block_size.in_memory(), 0);
        let owner = Owner::File(index);
        let mut cutter =
            Cutter { queue: &mut self.queue, owner, block: &mut self.block, filled_bytes: 0 };
        content.stream(&mut cutter)?;
        Ok(cutter.finish()?)
    }

    fn small(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(self.queue.push(Owner::File(index), bytes)?);
        }
        let block_bytes = self.plan.options.block_size.in_memory();
        if self.fragment.len() + bytes.len() > block_bytes {
            self.close_fragment()?;
        }
        if self.fragment.capacity() == 0 {
            // Never more than it can take, so that no copy is left behind by growing.
            let most = u64::from(self.plan.options.block_size.bytes()).min(self.plan.content_bytes);
            self.fragment.reserve_exact(usize::try_from(most).map_err(|_| inconsistent())?);
        }
        let offset = u32::try_from(self.fragment.len()).map_err(|_| inconsistent())?;
        self.fragment.extend_from_slice(bytes);
        if let Some(file) = self.queue.ledger().files.get_mut(index) {
            file.fragment = Some((self.closed_fragments, offset));
        }
        Ok(())
    }

    fn close_fragment(&mut self) -> Result<()> {
        if !self.fragment.is_empty() {
            self.queue.push(Owner::Fragment, &self.fragment)?;
            self.fragment.clear();
            self.closed_fragments += 1;
        }
        Ok(())
    }
}

/// Cuts what streams by into blocks.
struct Cutter<'w, 's, 'o> {
    queue: &'w mut Queue<'s, 'o, Arrivals>,
    owner: Owner,
    /// As long as a block.
    block: &'w mut [u8],
    filled_bytes: usize,
}

impl Cutter<'_, '_, '_> {
    /// The rest of the open block: never empty.
    fn room(&mut self) -> &mut [u8] {
        self.block.get_mut(self.filled_bytes..).unwrap_or_default()
    }

    fn fill(&mut self, bytes: usize) -> io::Result<()> {
        self.filled_bytes += bytes;
        if self.filled_bytes == self.block.len() { self.flush_block() } else { Ok(()) }
    }

    /// Fills the open block with so many zeros, or as many as it takes; returns how many.
    fn fill_with_zeros(&mut self, most_bytes: u64) -> io::Result<u64> {
        let room = self.room();
        let length = usize::try_from(most_bytes).unwrap_or(usize::MAX).min(room.len());
        room.get_mut(..length).unwrap_or_default().fill(0);
        self.fill(length)?;
        Ok(length as u64)
    }

    fn flush_block(&mut self) -> io::Result<()> {
        let block = self.block.get(..self.filled_bytes).unwrap_or_default();
        self.filled_bytes = 0;
        self.queue.push(self.owner, block)
    }

    fn finish(mut self) -> io::Result<()> {
        if self.filled_bytes > 0 { self.flush_block() } else { Ok(()) }
    }
}

impl Cutter<'_, '_, '_> {
    /// How many of the next blocks of `file` can be copied by the kernel, as they
    /// are stored as they are and do not start with zeros. One that does may
    /// be a hole, which only reading it shows.
    fn count_copyable(&self, mut file: &File, length_bytes: u64) -> u64 {
        const BLOCKS_MAX: u64 = 64;
        let block_bytes = self.block.len() as u64;
        if self.filled_bytes > 0 || !self.queue.stores_raw() {
            return 0;
        }
        let Ok(start) = file.stream_position() else { return 0 };
        let is_hole_or_end = |index: &u64| {
            let mut first = [0; 64];
            let read = file.read_at(&mut first, start + index * block_bytes);
            read.is_err() || first == [0; 64]
        };
        let most = (length_bytes / block_bytes).min(BLOCKS_MAX);
        (0..most).find(is_hole_or_end).unwrap_or(most)
    }
}

impl Write for Cutter<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A whole block need not be copied first.
        if self.filled_bytes == 0
            && let Some(block) = bytes.get(..self.block.len())
        {
            self.queue.push(self.owner, block)?;
            return Ok(block.len());
        }
        let room = self.room();
        let length = room.len().min(bytes.len());
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.fill(length)?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Cutter<'_, '_, '_> {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        let mut left = length_bytes;
        if self.filled_bytes > 0 {
            left -= self.fill_with_zeros(left)?;
        }
        let block_bytes = self.block.len() as u64;
        self.queue.push_holes(self.owner, left / block_bytes)?;
        self.fill_with_zeros(left % block_bytes)?;
        Ok(())
    }

    fn copy_from_file(&mut self, mut file: &File, length_bytes: u64) -> io::Result<u64> {
        let mut left = length_bytes;
        while left > 0 {
            let count = self.count_copyable(file, left);
            if count > 0 {
                let block_bytes = u32::try_from(self.block.len()).unwrap_or_default();
                let copied = self.queue.copy_from_file(self.owner, file, block_bytes, count)?;
                left -= copied;
                if copied < count * u64::from(block_bytes) {
                    break;
                }
                continue;
            }
            let room = self.room();
            let want = room.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match file.read(room.get_mut(..want).unwrap_or_default()) {
                Ok(0) => break,
                Ok(got) => {
                    left -= got as u64;
                    self.fill(got)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(length_bytes - left)
    }
}
