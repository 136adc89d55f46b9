//! File data: cut into blocks and packed into fragments as it streams by.
//!
//! A file of a block or more takes blocks of its own, the last one as short as
//! it is. A smaller file goes into a fragment block, which it shares with its
//! neighbours. A block that is all zero is a hole and not stored at all.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use zerocopy::little_endian::{U32, U64};

use super::format::FragmentEntry;
use super::plan::Plan;
use super::queue::{Ledger, Output, Owner, Pool, Queue};
use crate::chunked::Chunked;
use crate::compress::Packer;
use crate::content::{Buffer, Content, Sink, read_full};
use crate::duplicates::Duplicates;
use crate::error::{Result, inconsistent};
use crate::read_ahead::{ReadAhead, with_read_ahead};
use crate::tree::{InodeId, Kind};
use crate::zeros::is_zero;

/// Starting threads takes as long as compressing a few hundred KiB.
const WORTH_THREADS_BYTES: u64 = 1 << 20;

/// More threads than this have nothing to do on most machines, and each takes memory.
const THREADS_MAX: usize = 64;

/// Where everything went.
pub(super) struct Data {
    files: Chunked<StoredFile>,
    /// The fragment table.
    pub(super) fragments: Vec<FragmentEntry>,
    /// Index of an inode's content in `files`; none for what is no file.
    by_inode: Vec<FileIndex>,
}

impl Data {
    /// Where the content of `id`, a file, went.
    pub(super) fn file(&self, id: InodeId) -> Result<&StoredFile> {
        let index = self.by_inode.get(id.index()).copied().and_then(FileIndex::get);
        index.and_then(|index| self.files.get(index)).ok_or_else(inconsistent)
    }
}

/// An index, or none, in the room of a number: there is one for each inode.
#[derive(Clone, Copy)]
struct FileIndex(u32);

impl FileIndex {
    const NONE: Self = Self(u32::MAX);

    fn new(index: usize) -> Result<Self> {
        let index = u32::try_from(index).ok().filter(|index| *index < Self::NONE.0);
        index.map(Self).ok_or_else(inconsistent)
    }

    fn get(self) -> Option<usize> {
        (self.0 < Self::NONE.0).then_some(self.0 as usize)
    }
}

/// Where the content of a file went. There may be very many, so each is small.
pub(super) enum StoredFile {
    Empty,
    /// Into a fragment block, of this index, from this place on.
    Fragment {
        block: u32,
        start_bytes: u32,
    },
    /// Into blocks of its own.
    Blocks(Box<Blocks>),
}

/// The blocks of a file.
#[derive(Default)]
pub(super) struct Blocks {
    /// The first that is stored; none where all are holes.
    pub(super) start: Option<u64>,
    /// Their stored lengths, 0 for a hole.
    pub(super) sizes: Vec<u32>,
}

/// Writes the content of all files.
pub(super) fn write(plan: &Plan<'_>, output: &mut Output<'_>) -> Result<Data> {
    let tree = plan.tree;
    let contents = plan.order.iter().filter_map(|id| tree.inode(*id).kind().content());
    // Each of these is streamed once; larger ones are looked at first, and perhaps not stored.
    let small = contents.filter(|content| !content.is_empty() && plan.is_small(content));
    // Threads that compress keep all processors busy, and the writer reads meanwhile.
    let readers = if is_worth_compressors(plan) { 1 } else { plan.options.threads };
    with_read_ahead(readers, small, |reads| write_with(plan, output, reads))
}

fn is_worth_compressors(plan: &Plan<'_>) -> bool {
    let options = &plan.options;
    options.threads > 1
        && !options.compression.is_none()
        && plan.content_bytes >= WORTH_THREADS_BYTES
}

fn write_with<'t>(
    plan: &Plan<'t>,
    output: &mut Output<'_>,
    reads: &mut ReadAhead<'_, 't>,
) -> Result<Data> {
    let options = &plan.options;
    let block_bytes = options.block_size.in_memory();
    let arrivals = Arrivals::default();
    if !is_worth_compressors(plan) {
        let packer = Packer::new(options.compression, block_bytes);
        return Writer::new(plan, reads, Queue::here(output, arrivals, packer)).run();
    }
    // Nor more than there are blocks.
    let blocks = usize::try_from(plan.content_bytes / block_bytes as u64).unwrap_or(usize::MAX);
    let threads = options.threads.min(THREADS_MAX).min(blocks.max(1));
    let (pool, jobs) = Pool::new(threads);
    std::thread::scope(|scope| {
        jobs.start(scope, threads, options.compression, block_bytes)?;
        Writer::new(plan, reads, Queue::threads(output, arrivals, pool)).run()
    })
}

#[derive(Default)]
struct Arrivals {
    files: Chunked<StoredFile>,
    fragments: Vec<FragmentEntry>,
}

impl Ledger for Arrivals {
    fn enter(&mut self, owner: Owner, start: u64, size: u32) {
        match owner {
            Owner::File(index) => {
                if let Some(StoredFile::Blocks(blocks)) = self.files.get_mut(index) {
                    blocks.sizes.push(size);
                    if size > 0 {
                        blocks.start.get_or_insert(start);
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

struct Writer<'p, 't, 's, 'o, 'a> {
    plan: &'p Plan<'t>,
    /// What small files hold comes by this.
    reads: &'p mut ReadAhead<'a, 't>,
    queue: Queue<'s, 'o, Arrivals>,
    duplicates: Duplicates<'p, 't>,
    by_inode: Vec<FileIndex>,
    /// The open fragment block. Small files are read into it directly.
    fragment: OpenBlock,
    closed_fragments: u32,
    /// Holds a block of a larger file while it fills up, and a small file that the open
    /// fragment block has no room for. Empty in between.
    other: OpenBlock,
}

impl<'p, 't, 's, 'o, 'a> Writer<'p, 't, 's, 'o, 'a> {
    fn new(
        plan: &'p Plan<'t>,
        reads: &'p mut ReadAhead<'a, 't>,
        queue: Queue<'s, 'o, Arrivals>,
    ) -> Self {
        Self {
            plan,
            reads,
            queue,
            duplicates: Duplicates::new(plan.tree, &plan.repeated_lengths),
            by_inode: vec![FileIndex::NONE; plan.tree.len()],
            fragment: OpenBlock::default(),
            closed_fragments: 0,
            other: OpenBlock::default(),
        }
    }

    fn run(mut self) -> Result<Data> {
        let Plan { tree, order, .. } = self.plan;
        for id in order {
            if let Kind::File(content) = tree.inode(*id).kind() {
                let index = self.file(*id, content).map_err(|error| error.at_inode(tree, *id))?;
                let place = self.by_inode.get_mut(id.index()).ok_or_else(inconsistent)?;
                *place = FileIndex::new(index)?;
            }
        }
        self.close_fragment()?;
        let Arrivals { files, fragments } = self.queue.finish()?;
        Ok(Data { files, fragments, by_inode: self.by_inode })
    }

    /// Writes a file, or finds one of the same content; returns its index.
    fn file(&mut self, id: InodeId, content: &'t Content) -> Result<usize> {
        let index = self.queue.ledger().files.len();
        if content.is_empty() {
            self.queue.ledger().files.push(StoredFile::Empty);
            return Ok(index);
        }
        if self.plan.is_small(content) {
            return self.small(id, content, index);
        }
        if let Some(same) = self.duplicates.find(id, content, None, index)? {
            return Ok(same);
        }
        self.queue.ledger().files.push(StoredFile::Blocks(Box::default()));
        self.blocks(index, content)?;
        Ok(index)
    }

    fn blocks(&mut self, index: usize, content: &Content) -> Result<()> {
        self.other.make_room(self.plan)?;
        let owner = Owner::File(index);
        let mut cutter = Cutter { queue: &mut self.queue, owner, block: &mut self.other };
        content.stream(&mut cutter)?;
        Ok(cutter.finish()?)
    }

    /// A file shorter than a block. It is read once, whether or not there is one like it.
    fn small(&mut self, id: InodeId, content: &'t Content, index: usize) -> Result<usize> {
        let length = usize::try_from(content.len()).map_err(|_| inconsistent())?;
        self.fragment.make_room(self.plan)?;
        let fits = length <= self.fragment.room().len();
        if !fits {
            self.other.make_room(self.plan)?;
        }
        let block = if fits { &mut self.fragment } else { &mut self.other };
        let start = block.filled_bytes;
        self.reads.stream(content, block)?;
        let bytes = block.filled().get(start..).unwrap_or_default();
        let same = self.duplicates.find(id, content, Some(bytes), index)?;
        let is_hole = is_zero(bytes);
        if same.is_some() || is_hole {
            block.filled_bytes = start;
        }
        if let Some(same) = same {
            return Ok(same);
        }
        if is_hole {
            self.queue.ledger().files.push(StoredFile::Blocks(Box::default()));
            self.queue.push_holes(Owner::File(index), 1)?;
            return Ok(index);
        }
        if !fits {
            self.close_fragment()?;
            std::mem::swap(&mut self.fragment, &mut self.other);
        }
        let start = self.fragment.filled_bytes - length;
        let start_bytes = u32::try_from(start).map_err(|_| inconsistent())?;
        let block = self.closed_fragments;
        self.queue.ledger().files.push(StoredFile::Fragment { block, start_bytes });
        Ok(index)
    }

    fn close_fragment(&mut self) -> Result<()> {
        if self.fragment.filled_bytes > 0 {
            self.queue.push(Owner::Fragment, self.fragment.filled())?;
            self.fragment.filled_bytes = 0;
            self.closed_fragments += 1;
        }
        Ok(())
    }
}

/// A block while it fills up. It takes what streams by, as far as there is room.
#[derive(Default)]
struct OpenBlock {
    /// As long as a block, or as all content where that is less; empty before anything needs it.
    bytes: Buffer,
    filled_bytes: usize,
}

impl OpenBlock {
    fn make_room(&mut self, plan: &Plan<'_>) -> Result<()> {
        if self.bytes.is_empty() {
            let most = u64::from(plan.options.block_size.bytes()).min(plan.content_bytes);
            self.bytes = Buffer::zeroed(usize::try_from(most).map_err(|_| inconsistent())?);
        }
        Ok(())
    }

    fn filled(&self) -> &[u8] {
        self.bytes.get(..self.filled_bytes).unwrap_or_default()
    }

    fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.filled_bytes..).unwrap_or_default()
    }

    /// The room for so many bytes, or as many as it takes.
    fn room_for(&mut self, most_bytes: u64) -> &mut [u8] {
        let room = self.room();
        let length = usize::try_from(most_bytes).unwrap_or(usize::MAX).min(room.len());
        room.get_mut(..length).unwrap_or_default()
    }

    fn is_full(&self) -> bool {
        self.filled_bytes == self.bytes.len()
    }

    /// Takes so many zeros, or as many as there is room for; returns how many.
    fn fill_with_zeros(&mut self, most_bytes: u64) -> u64 {
        let room = self.room_for(most_bytes);
        room.fill(0);
        let length = room.len();
        self.filled_bytes += length;
        length as u64
    }
}

impl Write for OpenBlock {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room_for(bytes.len() as u64);
        let (taken, _) = bytes.split_at(room.len());
        room.copy_from_slice(taken);
        self.filled_bytes += taken.len();
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for OpenBlock {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        let got = read_full(file, self.room_for(length_bytes))?;
        self.filled_bytes += got;
        Ok(got as u64)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        if self.fill_with_zeros(length_bytes) == length_bytes {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }
}

/// Cuts what streams by into blocks.
struct Cutter<'w, 's, 'o> {
    queue: &'w mut Queue<'s, 'o, Arrivals>,
    owner: Owner,
    /// As long as a block, and never full.
    block: &'w mut OpenBlock,
}

impl Cutter<'_, '_, '_> {
    fn block_bytes(&self) -> usize {
        self.block.bytes.len()
    }

    /// Passes on the open block if it is full.
    fn pass_on(&mut self) -> io::Result<()> {
        if self.block.is_full() { self.flush_block() } else { Ok(()) }
    }

    fn flush_block(&mut self) -> io::Result<()> {
        let outcome = self.queue.push(self.owner, self.block.filled());
        self.block.filled_bytes = 0;
        outcome
    }

    fn finish(mut self) -> io::Result<()> {
        if self.block.filled_bytes > 0 { self.flush_block() } else { Ok(()) }
    }

    /// How many of the next blocks of `file` can be copied by the kernel, as they
    /// are stored as they are and do not start with zeros. One that does may
    /// be a hole, which only reading it shows.
    fn count_copyable(&self, mut file: &File, length_bytes: u64) -> u64 {
        const BLOCKS_MAX: u64 = 64;
        let block_bytes = self.block_bytes() as u64;
        if self.block.filled_bytes > 0 || !self.queue.stores_raw() {
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
        if self.block.filled_bytes == 0
            && let Some(block) = bytes.get(..self.block_bytes())
        {
            self.queue.push(self.owner, block)?;
            return Ok(block.len());
        }
        let taken = self.block.write(bytes)?;
        self.pass_on()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Cutter<'_, '_, '_> {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        let mut left = length_bytes;
        if self.block.filled_bytes > 0 {
            left -= self.block.fill_with_zeros(left);
            self.pass_on()?;
        }
        let block_bytes = self.block_bytes() as u64;
        self.queue.push_holes(self.owner, left / block_bytes)?;
        self.block.fill_with_zeros(left % block_bytes);
        self.pass_on()
    }

    fn copy_from_file(&mut self, mut file: &File, length_bytes: u64) -> io::Result<u64> {
        let mut left = length_bytes;
        while left > 0 {
            let count = self.count_copyable(file, left);
            if count > 0 {
                let block_bytes = u32::try_from(self.block_bytes()).unwrap_or_default();
                let copied = self.queue.copy_from_file(self.owner, file, block_bytes, count)?;
                left -= copied;
                if copied < count * u64::from(block_bytes) {
                    break;
                }
                continue;
            }
            match file.read(self.block.room_for(left)) {
                Ok(0) => break,
                Ok(got) => {
                    left -= got as u64;
                    self.block.filled_bytes += got;
                    self.pass_on()?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(length_bytes - left)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use zerocopy::FromBytes;

    use crate::squashfs::format::SuperBlock;
    use crate::squashfs::{BlockSize, Options, Plan};
    use crate::{Kind, Metadata, Name, Tree};

    /// How many fragment blocks an image of these files has, in blocks of 4096 bytes.
    fn fragment_blocks(files: &[Vec<u8>]) -> u32 {
        let mut tree = Tree::new(Metadata::default());
        for (index, bytes) in files.iter().enumerate() {
            let name = Name::new(index.to_string().as_bytes()).unwrap();
            let kind = Kind::file(bytes.clone());
            tree.insert(Tree::ROOT, name, Metadata::default(), kind).unwrap();
        }
        let options = Options::new().block_size(BlockSize::new(4096).unwrap());
        let mut image = Vec::new();
        Plan::new(&tree, options).unwrap().write(&mut image).unwrap();
        SuperBlock::read_from_prefix(&image).unwrap().0.fragments.get()
    }

    #[test]
    fn a_fragment_block_ends_only_for_what_is_stored_in_the_next_one() {
        let (long, short) = (vec![1; 3000], vec![2; 1000]);
        assert_eq!(fragment_blocks(&[long.clone(), vec![3; 1097], short.clone()]), 2);
        assert_eq!(fragment_blocks(&[long.clone(), vec![3; 1096], short.clone()]), 2);
        assert_eq!(fragment_blocks(&[long.clone(), vec![3; 1096]]), 1);
        // Neither a hole nor what is stored already is in the way of the file behind it.
        assert_eq!(fragment_blocks(&[long.clone(), vec![0; 2000], short.clone()]), 1);
        assert_eq!(fragment_blocks(&[long.clone(), long, short]), 1);
    }
}
