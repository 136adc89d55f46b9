//! The target that writes bytes, and checks each address against the plan.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::directory::Entries;
use super::emit::{MetaBlock, Target};
use super::format::{
    BLOCK_BITS, BLOCK_BYTES, COMPAT_MTIME, COMPAT_SB_CHKSUM, ExtendedInode, MAGIC, SLOT_BYTES,
    SUPER_OFFSET_BYTES, SuperBlock, checksum, inode_count,
};
use super::inode::{Shape, file_type};
use super::plan::{Place, Plan};
use crate::content::{Content, Sink, Wiped, copy_buffered, read_full};
use crate::error::{Result, inconsistent};
use crate::read_ahead::ReadAhead;
use crate::tree::{Inode, InodeId, Kind};

/// Files up to this length are read at once.
const SCRATCH_BYTES: usize = 64 << 10;

static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

pub(super) struct Writer<'p, 't, 's, 'a> {
    plan: &'p Plan<'t>,
    sink: &'s mut dyn Sink,
    /// What files hold comes by this.
    reads: &'s mut ReadAhead<'a, 't>,
    written_blocks: u32,
    open: BTreeMap<usize, Wiped>,
    /// Blocks of zeros that were open and will be again.
    spare: Vec<Wiped>,
    /// Tail of the file whose data was written last.
    tail: Wiped,
    /// Where headers are put together.
    header: Wiped,
    /// Where small files are read to.
    scratch: Wiped,
}

impl<'p, 't, 's, 'a> Writer<'p, 't, 's, 'a> {
    pub(super) fn new(
        plan: &'p Plan<'t>,
        sink: &'s mut dyn Sink,
        reads: &'s mut ReadAhead<'a, 't>,
    ) -> Self {
        let buffer = Wiped::with_capacity;
        Self {
            plan,
            sink,
            reads,
            written_blocks: 0,
            open: BTreeMap::new(),
            spare: Vec::new(),
            tail: buffer(BLOCK_BYTES),
            header: buffer(size_of::<ExtendedInode>()),
            scratch: buffer(0),
        }
    }

    fn lookup(&self, id: InodeId) -> Result<(&'t Inode, &'p Shape, Place)> {
        let shape = self.plan.shapes.get(self.plan.order.place(id)).ok_or_else(inconsistent)?;
        let place = self.plan.places.get(id.index()).ok_or_else(inconsistent)?;
        Ok((self.plan.tree.inode(id), shape, *place))
    }

    fn write_padded(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.write_all(bytes)?;
        self.pad(bytes.len() as u64)?;
        self.advance(bytes.len().div_ceil(BLOCK_BYTES))
    }

    /// Fills the block in which `length_bytes` bytes end with zeros.
    fn pad(&mut self, length_bytes: u64) -> Result<()> {
        let in_last = usize::try_from(length_bytes % BLOCK_BYTES as u64).unwrap_or_default();
        match ZEROS.get(in_last..) {
            Some(zeros) if in_last > 0 => Ok(self.sink.write_all(zeros)?),
            _ => Ok(()),
        }
    }

    fn advance(&mut self, blocks: usize) -> Result<()> {
        let blocks = u32::try_from(blocks).map_err(|_| inconsistent())?;
        self.written_blocks = self.written_blocks.checked_add(blocks).ok_or_else(inconsistent)?;
        Ok(())
    }

    fn file_data(&mut self, content: &'t Content, shape: &Shape) -> Result<()> {
        let (tail, scratch) = (&mut self.tail, &mut self.scratch);
        split(self.reads, content, shape, &mut *self.sink, tail, scratch)?;
        self.pad(shape.data_bytes())?;
        self.advance(usize::try_from(shape.data_blocks).map_err(|_| inconsistent())?)
    }

    fn directory_data(&mut self, entries: &Entries<'_>, shape: &Shape) -> Result<()> {
        let mut bytes = Vec::with_capacity(BLOCK_BYTES);
        let blocks = usize::try_from(shape.data_blocks).map_err(|_| inconsistent())?;
        for block in entries.blocks().take(blocks) {
            bytes.clear();
            let plan = self.plan;
            block.append(&mut bytes, |id| resolve(plan, id));
            self.write_padded(&bytes)?;
        }
        Ok(())
    }

    /// Puts the inline tail of `id` into `self.tail`; a file's is there already.
    fn load_tail(&mut self, id: InodeId, inode: &Inode, shape: &Shape) -> Result<()> {
        match inode.kind() {
            Kind::File(_) => {}
            Kind::Symlink(target) if shape.tail_bytes() > 0 => {
                self.tail.clear();
                self.tail.extend_from_slice(target);
            }
            Kind::Directory(children) if shape.tail_bytes() > 0 => {
                self.tail.clear();
                let entries = Entries::new(children, id, inode.parent());
                if let Some(last) = entries.blocks().last() {
                    let plan = self.plan;
                    last.append(&mut self.tail, |id| resolve(plan, id));
                }
            }
            Kind::Symlink(_)
            | Kind::Directory(_)
            | Kind::CharDevice(_)
            | Kind::BlockDevice(_)
            | Kind::Fifo
            | Kind::Socket => self.tail.clear(),
        }
        expect(self.tail.len() == shape.tail_bytes())
    }

    fn super_block(&self) -> SuperBlock {
        let Plan { tree, options, blocks, .. } = self.plan;
        SuperBlock {
            magic: U32::new(MAGIC),
            checksum: U32::ZERO,
            feature_compat: U32::new(COMPAT_SB_CHKSUM | COMPAT_MTIME),
            block_bits: BLOCK_BITS,
            extension_slots: 0,
            root_nid: U16::new(self.plan.root_nid),
            inodes: U64::new(inode_count(tree.len() as u64)),
            build_time_seconds: U64::new(options.build_time.seconds().cast_unsigned()),
            build_time_nanoseconds: U32::new(options.build_time.nanoseconds()),
            blocks: U32::new(*blocks),
            meta_block: U32::ZERO,
            xattr_block: U32::ZERO,
            uuid: options.uuid,
            volume_name: options.label.field(),
            feature_incompat: U32::ZERO,
            compression: U16::ZERO,
            extra_devices: U16::ZERO,
            device_table_slot: U16::ZERO,
            directory_block_bits: 0,
            xattr_prefix_count: 0,
            xattr_prefix_start: U32::ZERO,
            packed_nid: U64::ZERO,
            xattr_filter: 0,
            ishare_prefix: 0,
            reserved: [0; 2],
            build_time_offset_seconds: U32::ZERO,
            root_nid_48bit: U64::ZERO,
            reserved2: U64::ZERO,
        }
    }

    /// Writes the superblock into block 0 and its checksum over the rest of it.
    fn finish_first(&self, block: &mut [u8]) -> Result<()> {
        let mut record = self.super_block();
        let covered = block.get_mut(SUPER_OFFSET_BYTES..).ok_or_else(inconsistent)?;
        write_at(covered, 0, record.as_bytes())?;
        record.checksum = U32::new(checksum(covered));
        write_at(covered, 0, record.as_bytes())
    }
}

impl Target for Writer<'_, '_, '_, '_> {
    fn data(&mut self, id: InodeId, start: u32) -> Result<()> {
        let (inode, shape, place) = self.lookup(id)?;
        expect(start == place.start_block)?;
        expect(shape.data_blocks == 0 || start == self.written_blocks)?;
        match inode.kind() {
            Kind::File(content) => self.file_data(content, shape),
            _ if shape.data_blocks == 0 => Ok(()),
            Kind::Symlink(target) => self.write_padded(target),
            Kind::Directory(children) => {
                self.directory_data(&Entries::new(children, id, inode.parent()), shape)
            }
            Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo | Kind::Socket => {
                Err(inconsistent())
            }
        }
    }

    /// A file is opened for its tail, and in any case to see whether it is still the same.
    fn shared_data(&mut self, id: InodeId, start: u32) -> Result<()> {
        let (inode, shape, place) = self.lookup(id)?;
        expect(start == place.start_block)?;
        match inode.kind() {
            Kind::File(content) => {
                let (tail, scratch) = (&mut self.tail, &mut self.scratch);
                split(self.reads, content, shape, &mut Stored, tail, scratch)
            }
            Kind::Symlink(_) => Ok(()),
            Kind::Directory(_)
            | Kind::CharDevice(_)
            | Kind::BlockDevice(_)
            | Kind::Fifo
            | Kind::Socket => Err(inconsistent()),
        }
    }

    fn inode(&mut self, id: InodeId, meta: MetaBlock, offset_bytes: usize) -> Result<()> {
        let (inode, shape, place) = self.lookup(id)?;
        let slot = (offset_bytes / SLOT_BYTES) as u64;
        expect(place.nid % (BLOCK_BYTES / SLOT_BYTES) as u64 == slot)?;
        self.load_tail(id, inode, shape)?;
        self.header.clear();
        shape.append_header(
            self.plan.order.number(id),
            inode,
            place.start_block,
            &mut self.header,
        )?;
        let spare = || self.spare.pop().unwrap_or_else(zero_block);
        let block = self.open.entry(meta.0).or_insert_with(spare);
        write_at(block, offset_bytes, &self.header)?;
        write_at(block, offset_bytes + self.header.len(), &self.tail)
    }

    fn large_inode(&mut self, id: InodeId, start: u32) -> Result<()> {
        let (inode, shape, place) = self.lookup(id)?;
        expect(start == self.written_blocks)?;
        let mut header = Wiped::with_capacity(shape.header_bytes());
        shape.append_header(self.plan.order.number(id), inode, place.start_block, &mut header)?;
        self.write_padded(&header)
    }

    fn close(&mut self, meta: MetaBlock, block: u32) -> Result<()> {
        expect(block == self.written_blocks)?;
        // Block 0 may hold no inode: a root with large xattrs goes behind it.
        let mut bytes = self.open.remove(&meta.0).unwrap_or_else(zero_block);
        if meta == MetaBlock::FIRST {
            self.finish_first(&mut bytes)?;
        }
        self.write_padded(&bytes)?;
        bytes.fill(0);
        self.spare.push(bytes);
        Ok(())
    }

    fn padding(&mut self, block: u32) -> Result<()> {
        expect(block == self.written_blocks)?;
        self.write_padded(&ZEROS)
    }
}

fn zero_block() -> Wiped {
    Wiped::zeroed(BLOCK_BYTES)
}

fn expect(is_as_planned: bool) -> Result<()> {
    if is_as_planned { Ok(()) } else { Err(inconsistent()) }
}

fn resolve(plan: &Plan<'_>, id: InodeId) -> (u64, super::format::FileType) {
    let nid = plan.places.get(id.index()).map_or(0, |place| place.nid);
    (nid, file_type(plan.tree.inode(id)))
}

fn write_at(block: &mut [u8], offset_bytes: usize, bytes: &[u8]) -> Result<()> {
    let window = block
        .get_mut(offset_bytes..)
        .and_then(|rest| rest.get_mut(..bytes.len()))
        .ok_or_else(inconsistent)?;
    window.copy_from_slice(bytes);
    Ok(())
}

/// Streams a file: its whole blocks to `sink`, its tail to `tail`.
fn split<'t>(
    reads: &mut ReadAhead<'_, 't>,
    content: &'t Content,
    shape: &Shape,
    sink: &mut dyn Sink,
    tail: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<()> {
    tail.clear();
    reads.stream(content, &mut Split { sink, data_left: shape.data_bytes(), tail, scratch })
}

/// Takes blocks that are in the image already.
struct Stored;

impl Write for Stored {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Stored {
    fn write_zeros(&mut self, _length_bytes: u64) -> io::Result<()> {
        Ok(())
    }

    /// Passes by, but for the last byte: where that is missing, the file is too short.
    fn copy_from_file(&mut self, mut file: &File, length_bytes: u64) -> io::Result<u64> {
        let passed = length_bytes.checked_sub(1).and_then(|bytes| i64::try_from(bytes).ok());
        let passed = passed.map(|bytes| file.seek(SeekFrom::Current(bytes)));
        let Some(Ok(_)) = passed else { return copy_buffered(file, self, length_bytes) };
        let got = read_full(file, &mut [0])?;
        Ok(if got == 1 { length_bytes } else { 0 })
    }
}

/// Passes a file's whole blocks on and keeps its tail.
struct Split<'a> {
    sink: &'a mut dyn Sink,
    data_left: u64,
    tail: &'a mut Vec<u8>,
    scratch: &'a mut Vec<u8>,
}

impl Split<'_> {
    /// Reads a small file at once: data and tail apart would take two system calls.
    fn copy_small(&mut self, file: &File, length_bytes: usize) -> io::Result<u64> {
        let mut scratch = std::mem::take(self.scratch);
        scratch.resize(SCRATCH_BYTES, 0);
        let window = scratch.get_mut(..length_bytes).unwrap_or_default();
        let outcome = read_full(file, window).and_then(|got| {
            self.write_all(window.get(..got).unwrap_or_default())?;
            Ok(got as u64)
        });
        *self.scratch = scratch;
        outcome
    }
}

impl Write for Split<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let data = usize::try_from(self.data_left).unwrap_or(usize::MAX).min(bytes.len());
        if data == 0 {
            self.tail.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let written = self.sink.write(bytes.get(..data).unwrap_or_default())?;
        self.data_left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Sink for Split<'_> {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        let data = self.data_left.min(length_bytes);
        self.sink.write_zeros(data)?;
        self.data_left -= data;
        let tail_bytes = usize::try_from(length_bytes - data).unwrap_or_default();
        self.tail.resize(self.tail.len() + tail_bytes, 0);
        Ok(())
    }

    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        let data = self.data_left.min(length_bytes);
        if data < length_bytes
            && let Some(length_bytes) =
                usize::try_from(length_bytes).ok().filter(|length| *length <= SCRATCH_BYTES)
        {
            return self.copy_small(file, length_bytes);
        }
        let copied = self.sink.copy_from_file(file, data)?;
        self.data_left -= copied;
        if copied < data {
            return Ok(copied);
        }
        // What is left is the tail, less than a block.
        let tail_bytes = usize::try_from(length_bytes - data).unwrap_or_default();
        Ok(copied + self.copy_small(file, tail_bytes)?)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::super::Options;
    use super::*;
    use crate::{Metadata, Name, Secret, Source, Tree};

    /// Delivers each run of equal bytes at once; zeros as a hole.
    struct Runs(Vec<u8>);

    impl Source for Runs {
        fn stream(&self, _planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
            for run in self.0.chunk_by(|one, other| one == other) {
                match run.first() {
                    Some(0) => sink.write_zeros(run.len() as u64)?,
                    _ => sink.write_all(run)?,
                }
            }
            Ok(())
        }
    }

    /// The image, and how many of its bytes came as holes.
    #[derive(Default)]
    struct Holes {
        image: Vec<u8>,
        zeros: u64,
    }

    impl Write for Holes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.image.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Holes {
        fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
            self.zeros += length_bytes;
            self.image.write_zeros(length_bytes)
        }
    }

    fn image_of(content: Content) -> Holes {
        let mut tree = Tree::new(Metadata::default());
        let name = Name::new(b"f").unwrap();
        tree.insert(Tree::ROOT, name, Metadata::default(), Kind::File(content)).unwrap();
        let mut sink = Holes::default();
        Plan::new(&tree, Options::default()).unwrap().write(&mut sink).unwrap();
        sink
    }

    #[test]
    fn holes_of_a_source_are_holes_of_the_image_wherever_they_lie() {
        let zeros = |length: usize| vec![0; length];
        let ones = |length: usize| vec![1; length];
        for (runs, expected_zeros) in [
            (vec![zeros(20_000)], 16_384),
            (vec![zeros(4000)], 0),
            // No room for a tail behind the inode.
            (vec![zeros(4095)], 4095),
            (vec![zeros(4096)], 4096),
            (vec![ones(1), zeros(8191)], 8191),
            (vec![ones(100), zeros(10_000), ones(5000), zeros(9000)], 10_000 + 5380),
            // The tail begins within the hole, and within the data behind it.
            (vec![ones(4000), zeros(200), ones(10)], 96),
            (vec![zeros(4000), ones(200), zeros(10)], 4000),
        ] {
            let bytes = runs.concat();
            let source = Box::new(Runs(bytes.clone()));
            let holes = image_of(Content::Stream { length_bytes: bytes.len() as u64, source });
            let dense = image_of(Content::Memory(Secret::new(bytes)));
            assert!(holes.image == dense.image, "{expected_zeros}");
            assert_eq!(holes.zeros, expected_zeros);
            assert_eq!(dense.zeros, 0);
        }
    }

    #[test]
    fn the_bytes_depend_on_no_number_of_threads() {
        let mut tree = Tree::new(Metadata::default());
        for index in 0..500_usize {
            let byte = u8::try_from(index % 251).unwrap();
            // Some are equal, some have no whole block, some a hole.
            let mut bytes = vec![byte; index * 331 % 20_000];
            bytes.get_mut(..index % 7 * 1000).unwrap_or_default().fill(0);
            let length_bytes = bytes.len() as u64;
            let content = Content::Stream { length_bytes, source: Box::new(Runs(bytes)) };
            let name = Name::new(format!("{index:03}").as_bytes()).unwrap();
            tree.insert(Tree::ROOT, name, Metadata::default(), Kind::File(content)).unwrap();
        }
        let image = |threads| {
            let mut image = Vec::new();
            let options = Options::default().threads(threads);
            Plan::new(&tree, options).unwrap().write(&mut image).unwrap();
            image
        };
        let one = image(1);
        for threads in [0, 2, 5] {
            assert!(image(threads) == one, "{threads} threads");
        }
    }
}
