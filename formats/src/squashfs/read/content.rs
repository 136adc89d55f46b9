//! Content of files: blocks, holes, and ends in fragments.

use std::sync::Arc;

use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use super::cache::Unpacked;
use super::inode::{Body, FileBody, Fragment, Inode};
use super::metadata::Cursor;
use super::unpack::Stored;
use super::{Reader, corrupt, in_memory};
use crate::content::{Buffer, Sink};
use crate::error::Result;
use crate::read::{Extent, InodeRef};
use crate::squashfs::format::{BLOCK_LENGTH, BLOCK_RAW, FragmentEntry};

/// Blocks that are stored as they are and side by side are read in one go up to this length.
const RUN_BYTES: usize = 256 << 10;

/// So many sizes of blocks are read at once.
const SIZES: usize = 64;

/// A stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// How much of the file it is: a block at most but for holes.
    pub(super) length: u64,
    pub(super) source: Source,
}

/// Where a stretch of a file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Hole,
    Block(Stored),
    /// The end of the file, so far behind the start of a fragment.
    Fragment(Stored, u32),
}

/// A file's pieces, one by one.
#[derive(Clone)]
pub(super) struct Pieces {
    file: FileBody,
    /// Behind those sizes of blocks that were read.
    cursor: Cursor,
    sizes: [U32; SIZES],
    /// How many blocks came before.
    block: u64,
    /// Where the next block is stored.
    position: u64,
    has_ended: bool,
}

/// Where the last read from a file ended: reads that go on from there do not go through its
/// sizes from the start.
pub(super) struct Place {
    inode: InodeRef,
    pieces: Pieces,
}

impl Pieces {
    pub(super) fn new(inode: &Inode) -> Result<Self> {
        let Body::File(file) = inode.body else { return Err(corrupt("the inode is not a file")) };
        Ok(Self {
            file,
            cursor: inode.rest.clone(),
            sizes: [U32::ZERO; SIZES],
            block: 0,
            position: file.start,
            has_ended: false,
        })
    }

    /// Where the next piece begins in the file.
    fn offset(&self, image: &Reader) -> u64 {
        if self.has_ended { self.file.size } else { self.block * block_bytes(image) }
    }

    /// The next piece; none at the end. Its place is checked, whether it is read or not.
    pub(super) fn next(&mut self, image: &Reader) -> Result<Option<Piece>> {
        self.next_of(image, u64::MAX)
    }

    /// The next piece, of so many blocks at most.
    fn next_of(&mut self, image: &Reader, most: u64) -> Result<Option<Piece>> {
        let left = self.file.size.saturating_sub(self.offset(image));
        if left == 0 {
            return Ok(None);
        }
        let block_bytes = block_bytes(image);
        let mut length = left.min(block_bytes);
        if self.block >= self.file.blocks {
            self.has_ended = true;
            let Some(Fragment { index, offset }) = self.file.fragment else { return Ok(None) };
            let source = Source::Fragment(image.fragment(index)?, offset);
            return Ok(Some(Piece { length, source }));
        }
        let size = self.size(image)?;
        self.block += 1;
        let source = if size == 0 {
            let holes = self.more_holes(most.saturating_sub(1));
            self.block += holes;
            length = left.min(holes.saturating_add(1).saturating_mul(block_bytes));
            Source::Hole
        } else {
            Source::Block(self.stored(image, size, length)?)
        };
        self.has_ended = length == left;
        Ok(Some(Piece { length, source }))
    }

    /// How many of the next sizes that are read are holes, of so many at most.
    fn more_holes(&self, most: u64) -> u64 {
        let place = in_memory(self.block % SIZES as u64);
        if place == 0 {
            return 0;
        }
        let most = in_memory(most.min(self.file.blocks - self.block));
        let sizes = self.sizes.get(place..).unwrap_or_default().iter().take(most);
        sizes.take_while(|size| size.get() == 0).count() as u64
    }

    /// The size of the next block; they are read by the dozen, as there may be millions.
    fn size(&mut self, image: &Reader) -> Result<u32> {
        let place = in_memory(self.block % SIZES as u64);
        if place == 0 {
            let count = in_memory(self.file.blocks - self.block).min(SIZES);
            let window = self.sizes.get_mut(..count).unwrap_or_default();
            self.cursor.read(image, window.as_mut_bytes())?;
        }
        Ok(self.sizes.get(place).map_or(0, |size| size.get()))
    }

    fn stored(&mut self, image: &Reader, size: u32, length: u64) -> Result<Stored> {
        let block = image.stored_block(self.position, size)?;
        self.position = block.end();
        if block.is_raw && u64::from(block.length) != length {
            return Err(wrong_length(block, length, block.length.into()));
        }
        Ok(block)
    }
}

impl Reader {
    /// A block of `size` as files and fragments have it, which lies where content may be
    /// (`squashfs_read_data` of Linux' `block.c`).
    pub(super) fn stored_block(&self, position: u64, size: u32) -> Result<Stored> {
        let most = self.superblock.block_bytes.get();
        let length = size & BLOCK_LENGTH;
        if size & !(BLOCK_LENGTH | BLOCK_RAW) != 0 || length == 0 || length > most {
            return Err(corrupt(format!(
                "bad size of the block at byte {position}: expected 1 to {most}, got {size:#x}"
            )));
        }
        let block = Stored { position, length, is_raw: size & BLOCK_RAW != 0 };
        let (start, end) = (self.layout.data_start, self.layout.inodes.start);
        if position < start || block.end() > end {
            return Err(corrupt(format!(
                "a block of {length} bytes is at byte {position}, expected it in bytes {start} to \
                 {end}"
            )));
        }
        Ok(block)
    }

    /// Where a fragment is, of those that there are.
    pub(super) fn fragment(&self, index: u32) -> Result<Stored> {
        let known = self.state().entry.filter(|(known, _)| *known == index);
        let entry = if let Some((_, entry)) = known {
            entry
        } else {
            let table = self.layout.fragments.as_ref();
            let table = table.ok_or_else(|| corrupt("there are no fragments"))?;
            let entry: FragmentEntry = self.table_record(table, index.into())?;
            self.state().entry = Some((index, entry));
            entry
        };
        self.stored_block(entry.start.get(), entry.size.get())
    }

    /// A fragment as it was before it was packed.
    pub(super) fn unpacked_fragment(&self, stored: Stored) -> Result<Arc<Unpacked>> {
        if let Some(block) = self.state().fragments.get(stored.position)
            && block.end == stored.end()
        {
            return Ok(block);
        }
        // Small files can make it come back again and again.
        self.meter.charge(block_bytes(self))?;
        let block = self.unpacked(stored)?;
        self.state().fragments.insert(stored.position, Arc::clone(&block));
        Ok(block)
    }

    fn unpacked(&self, stored: Stored) -> Result<Arc<Unpacked>> {
        let mut bytes = Buffer::zeroed(in_memory(block_bytes(self)));
        let length = self.read_block(stored, &mut bytes)?;
        Ok(Unpacked::new(bytes, length, stored.end()))
    }

    /// The end of a file, checked to lie in its fragment.
    fn tail(&self, stored: Stored, offset: u32, buffer: &mut [u8], from: u64) -> Result<()> {
        let start = u64::from(offset).saturating_add(from);
        let end = start.saturating_add(buffer.len() as u64);
        if stored.is_raw {
            if end > u64::from(stored.length) {
                return Err(beyond_fragment(stored, end, stored.length.into()));
            }
            return self.storage.read_exact_at(stored.position.saturating_add(start), buffer);
        }
        let block = self.unpacked_fragment(stored)?;
        let bytes = block.bytes();
        let tail = bytes.get(in_memory(start)..in_memory(end));
        let tail = tail.ok_or_else(|| beyond_fragment(stored, end, bytes.len() as u64))?;
        buffer.copy_from_slice(tail);
        Ok(())
    }

    pub(super) fn stream_content(&self, inode: &Inode, sink: &mut dyn Sink) -> Result<()> {
        let mut pieces = Pieces::new(inode)?;
        let mut streamer =
            Streamer { image: self, sink, buffer: Buffer::default(), zeros: 0, run: None };
        while let Some(piece) = pieces.next(self)? {
            streamer.piece(piece)?;
        }
        streamer.flush()
    }

    pub(super) fn read_content(
        &self,
        inode_ref: InodeRef,
        inode: &Inode,
        offset_bytes: u64,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let mut pieces = self.pieces_at(inode_ref, inode, offset_bytes)?;
        if offset_bytes >= pieces.file.size {
            return Ok(0);
        }
        let mut filled = 0;
        loop {
            let start = pieces.offset(self);
            let before = pieces.clone();
            let free = buffer.get_mut(filled..).unwrap_or_default();
            let piece = if free.is_empty() { None } else { pieces.next(self)? };
            let Some(piece) = piece else {
                self.state().place = Some(Place { inode: inode_ref, pieces: before });
                return Ok(filled);
            };
            let skip = offset_bytes.saturating_add(filled as u64).saturating_sub(start);
            let length = in_memory(piece.length.saturating_sub(skip)).min(free.len());
            let window = free.get_mut(..length).unwrap_or_default();
            self.read_piece(piece, skip, window)?;
            filled += length;
            if piece.length > skip + length as u64 {
                // The rest of it is wanted next.
                self.state().place = Some(Place { inode: inode_ref, pieces: before });
                return Ok(filled);
            }
        }
    }

    /// The pieces from that on in which `offset_bytes` is.
    fn pieces_at(&self, inode_ref: InodeRef, inode: &Inode, offset_bytes: u64) -> Result<Pieces> {
        let wanted = offset_bytes / block_bytes(self);
        let place = self.state().place.take();
        let mut pieces = match place {
            Some(place)
                if place.inode == inode_ref
                    && place.pieces.offset(self) <= offset_bytes
                    && !place.pieces.has_ended =>
            {
                place.pieces
            }
            Some(_) | None => Pieces::new(inode)?,
        };
        let wanted = wanted.min(pieces.file.blocks);
        self.meter.charge(wanted.saturating_sub(pieces.block).saturating_mul(4))?;
        while pieces.block < wanted
            && pieces.next_of(self, wanted.saturating_sub(pieces.block))?.is_some()
        {}
        Ok(pieces)
    }

    /// Reads a piece from `skip` on.
    fn read_piece(&self, piece: Piece, skip: u64, buffer: &mut [u8]) -> Result<()> {
        match piece.source {
            Source::Hole => {
                buffer.fill(0);
                Ok(())
            }
            Source::Fragment(stored, offset) => self.tail(stored, offset, buffer, skip),
            Source::Block(stored) if stored.is_raw => {
                self.storage.read_exact_at(stored.position.saturating_add(skip), buffer)
            }
            Source::Block(stored) => {
                let block = self.data(stored, piece.length)?;
                let end = skip.saturating_add(buffer.len() as u64);
                let bytes = block.bytes().get(in_memory(skip)..in_memory(end));
                buffer.copy_from_slice(bytes.ok_or_else(crate::error::inconsistent)?);
                Ok(())
            }
        }
    }

    /// A block of data, unpacked to the length that it must have.
    fn data(&self, stored: Stored, length: u64) -> Result<Arc<Unpacked>> {
        let known = self.state().data.clone();
        let known = known
            .filter(|(position, block)| *position == stored.position && block.end == stored.end());
        let block = match known {
            Some((_, block)) => block,
            None => self.unpacked(stored)?,
        };
        let got = block.bytes().len() as u64;
        if got != length {
            return Err(wrong_length(stored, length, got));
        }
        self.state().data = Some((stored.position, Arc::clone(&block)));
        Ok(block)
    }

    pub(super) fn extents_of(
        &self,
        inode: &Inode,
        each: &mut dyn FnMut(Extent) -> Result<()>,
    ) -> Result<()> {
        let mut pieces = Pieces::new(inode)?;
        let mut open: Option<Extent> = None;
        let mut file_offset_bytes = 0;
        while let Some(piece) = pieces.next(self)? {
            let length_bytes = piece.length;
            let (place, stored_bytes) = match piece.source {
                Source::Hole => (None, 0),
                Source::Fragment(block, offset) if block.is_raw => {
                    (Some(block.position.saturating_add(offset.into())), length_bytes)
                }
                Source::Block(block) | Source::Fragment(block, _) => {
                    (Some(block.position), block.length.into())
                }
            };
            let next =
                Extent { file_offset_bytes, length_bytes, image_offset_bytes: place, stored_bytes };
            file_offset_bytes += length_bytes;
            match &mut open {
                Some(last) if is_continued(last, &next) => {
                    last.length_bytes += next.length_bytes;
                    last.stored_bytes += next.stored_bytes;
                }
                _ => {
                    if let Some(last) = open.replace(next) {
                        each(last)?;
                    }
                }
            }
        }
        open.map_or(Ok(()), each)
    }
}

/// Whether two extents are one: two holes, or two that are stored as they are side by side.
fn is_continued(last: &Extent, next: &Extent) -> bool {
    let is_raw = |extent: &Extent| extent.length_bytes == extent.stored_bytes;
    match (last.image_offset_bytes, next.image_offset_bytes) {
        (None, None) => true,
        (Some(start), Some(next_start)) => {
            is_raw(last) && is_raw(next) && start.saturating_add(last.stored_bytes) == next_start
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Hands a file's pieces to a sink: holes together, and what is stored as it is in long reads.
struct Streamer<'a> {
    image: &'a Reader,
    sink: &'a mut dyn Sink,
    buffer: Buffer,
    /// Zeros that are not yet handed on.
    zeros: u64,
    /// Place and length of blocks stored as they are that are not yet read.
    run: Option<(u64, usize)>,
}

impl Streamer<'_> {
    fn piece(&mut self, piece: Piece) -> Result<()> {
        let length = in_memory(piece.length);
        match piece.source {
            Source::Hole => {
                self.flush_run()?;
                self.zeros += piece.length;
            }
            Source::Block(block) if block.is_raw => self.raw(block, length)?,
            Source::Block(block) => {
                self.flush()?;
                let most = in_memory(block_bytes(self.image));
                let window = room(&mut self.buffer, most, length)?;
                let got = self.image.read_block(block, window)?;
                if got != length {
                    return Err(wrong_length(block, piece.length, got as u64));
                }
                self.sink.write_all(window)?;
            }
            Source::Fragment(block, offset) => {
                self.flush()?;
                let window = room(&mut self.buffer, length, length)?;
                self.image.tail(block, offset, window, 0)?;
                self.sink.write_all(window)?;
            }
        }
        Ok(())
    }

    fn raw(&mut self, block: Stored, length: usize) -> Result<()> {
        if let Some((start, run_length)) = &mut self.run
            && start.saturating_add(*run_length as u64) == block.position
            && run_length.saturating_add(length) <= RUN_BYTES
        {
            *run_length += length;
            return Ok(());
        }
        self.flush()?;
        self.run = Some((block.position, length));
        Ok(())
    }

    /// Hands on what waits: zeros, or blocks that are stored as they are.
    fn flush(&mut self) -> Result<()> {
        if self.zeros > 0 {
            self.sink.write_zeros(self.zeros)?;
            self.zeros = 0;
        }
        self.flush_run()
    }

    fn flush_run(&mut self) -> Result<()> {
        let Some((position, length)) = self.run.take() else { return Ok(()) };
        let window = room(&mut self.buffer, RUN_BYTES.max(length), length)?;
        self.image.charge_content(length as u64)?;
        self.image.storage.read_exact_at(position, window)?;
        self.sink.write_all(window)?;
        Ok(())
    }
}

/// The first so many bytes of `buffer`, which is made longer where it is too short.
fn room(buffer: &mut Buffer, capacity: usize, length: usize) -> Result<&mut [u8]> {
    if buffer.len() < length {
        *buffer = Buffer::zeroed(capacity);
    }
    buffer.get_mut(..length).ok_or_else(crate::error::inconsistent)
}

fn block_bytes(image: &Reader) -> u64 {
    image.superblock.block_bytes.get().into()
}

pub(super) fn wrong_length(block: Stored, expected: u64, got: u64) -> crate::error::Error {
    let position = block.position;
    corrupt(format!(
        "the block at byte {position} holds {got} bytes, expected {expected} as its file says"
    ))
}

fn beyond_fragment(block: Stored, end: u64, length: u64) -> crate::error::Error {
    let position = block.position;
    corrupt(format!(
        "the end of a file is beyond its fragment: expected {end} bytes or more in the block at \
         byte {position}, got {length}"
    ))
}
