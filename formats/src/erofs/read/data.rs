//! Where content lies (`erofs_map_blocks` of Linux).

use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

use super::inode::{Inode, Layout};
use super::superblock::compressors;
use super::{Reader, corrupt, unsupported};
use crate::content::Buffer;
use crate::erofs::format::{
    COMPRESSORS, ChunkIndex, CompressionHeader, IN_PACKED_INODE, NULL_BLOCK,
};
use crate::error::{Error, Result};
use crate::read::Extent;

/// How many addresses of chunks are read at once.
const ADDRESSES: u64 = 512;

/// Content that lies in one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// At least a byte, and no more than the file has.
    pub(super) length_bytes: u64,
    /// Where it begins in the image; none for a hole.
    pub(super) image_offset_bytes: Option<u64>,
}

impl Piece {
    /// Whether `next` goes on where this one ends.
    fn goes_on(&self, next: &Self) -> bool {
        match (self.image_offset_bytes, next.image_offset_bytes) {
            (None, None) => true,
            (Some(own), Some(next)) => own.checked_add(self.length_bytes) == Some(next),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    fn grow(&mut self, next: &Self) {
        self.length_bytes = self.length_bytes.saturating_add(next.length_bytes);
    }

    fn of_chunk(reader: &Reader, block: u32, chunk_bytes: u64) -> Self {
        let start = (block != NULL_BLOCK).then(|| reader.volume.block_offset(block));
        Self { length_bytes: chunk_bytes, image_offset_bytes: start }
    }
}

impl Inode {
    /// The piece that begins at `offset_bytes`, which is less than the size. It is looked no
    /// further than for `want_bytes`, but may be longer.
    pub(super) fn piece(
        &self,
        reader: &Reader,
        offset_bytes: u64,
        want_bytes: u64,
    ) -> Result<Piece> {
        let left_bytes = self.stat.size_bytes.saturating_sub(offset_bytes);
        let piece = match self.layout {
            Layout::Flat { start_block, is_inline } => {
                self.flat_piece(reader, offset_bytes, start_block, is_inline)?
            }
            Layout::Chunks { bits, has_indexes } => self.chunk_piece(
                reader,
                offset_bytes,
                want_bytes.min(left_bytes),
                bits,
                has_indexes,
            )?,
            Layout::Compressed => return Err(self.compressed(reader)),
            Layout::None => Piece { length_bytes: 0, image_offset_bytes: None },
        };
        let piece = Piece { length_bytes: piece.length_bytes.min(left_bytes), ..piece };
        if piece.length_bytes == 0 {
            return Err(corrupt(format!("inode {} has no content at {offset_bytes}", self.nid)));
        }
        self.check(reader, &piece)?;
        Ok(piece)
    }

    fn flat_piece(
        &self,
        reader: &Reader,
        offset_bytes: u64,
        start_block: u32,
        is_inline: bool,
    ) -> Result<Piece> {
        let size_bytes = self.stat.size_bytes;
        let volume = &reader.volume;
        if !is_inline {
            let image_offset_bytes = (start_block != NULL_BLOCK)
                .then(|| volume.block_offset(start_block).saturating_add(offset_bytes));
            return Ok(Piece { length_bytes: size_bytes - offset_bytes, image_offset_bytes });
        }
        // The last block, full or not, is behind the xattrs.
        let block_bytes = volume.block_bytes();
        let tail_start_bytes = (size_bytes.saturating_sub(1)) & !(block_bytes - 1);
        if offset_bytes < tail_start_bytes {
            let start = volume.block_offset(start_block);
            return Ok(Piece {
                length_bytes: tail_start_bytes - offset_bytes,
                image_offset_bytes: Some(start.saturating_add(offset_bytes)),
            });
        }
        let (tail_bytes, place) = (size_bytes - tail_start_bytes, self.end_bytes());
        if place % block_bytes + tail_bytes > block_bytes {
            let message = format!("inode {}: the end of its content crosses a block", self.nid);
            return Err(corrupt(message));
        }
        let within = offset_bytes - tail_start_bytes;
        let image_offset_bytes = Some(place.saturating_add(within));
        Ok(Piece { length_bytes: tail_bytes - within, image_offset_bytes })
    }

    /// Where the addresses of chunks begin.
    pub(super) fn chunk_table_bytes(&self, has_indexes: bool) -> u64 {
        self.end_bytes().next_multiple_of(Layout::address_bytes(has_indexes))
    }

    fn chunk_piece(
        &self,
        reader: &Reader,
        offset_bytes: u64,
        want_bytes: u64,
        bits: u32,
        has_indexes: bool,
    ) -> Result<Piece> {
        let chunk_bytes = 1_u64 << bits;
        let first = offset_bytes >> bits;
        let last = offset_bytes.saturating_add(want_bytes).saturating_sub(1) >> bits;
        let table = self.addresses(reader, first, last.saturating_sub(first) + 1, has_indexes)?;
        let mut piece: Option<Piece> = None;
        for block in addresses(&table, has_indexes) {
            let chunk = Piece::of_chunk(reader, block, chunk_bytes);
            match &mut piece {
                None => piece = Some(chunk),
                Some(before) if before.goes_on(&chunk) => before.grow(&chunk),
                Some(_) => break,
            }
        }
        let piece = piece.ok_or_else(crate::error::inconsistent)?;
        let within = offset_bytes & (chunk_bytes - 1);
        Ok(Piece {
            length_bytes: piece.length_bytes - within,
            image_offset_bytes: piece.image_offset_bytes.map(|start| start.saturating_add(within)),
        })
    }

    /// The part of the table of addresses from chunk `first` on: so many, or 512.
    fn addresses(
        &self,
        reader: &Reader,
        first: u64,
        count: u64,
        has_indexes: bool,
    ) -> Result<Buffer> {
        let address_bytes = Layout::address_bytes(has_indexes);
        let place = first
            .checked_mul(address_bytes)
            .and_then(|skip| skip.checked_add(self.chunk_table_bytes(has_indexes)))
            .ok_or_else(|| corrupt(format!("inode {} has more chunks than fit", self.nid)))?;
        let length_bytes = count.min(ADDRESSES) * address_bytes;
        let mut table = Buffer::zeroed(usize::try_from(length_bytes).unwrap_or(0));
        reader.metadata.read(place, &mut table)?;
        Ok(table)
    }

    /// Gives all pieces in their order, which are not yet joined.
    fn pieces(&self, reader: &Reader, each: &mut dyn FnMut(Piece) -> Result<()>) -> Result<()> {
        let size_bytes = self.stat.size_bytes;
        let mut offset_bytes = 0;
        let Layout::Chunks { bits, has_indexes } = self.layout else {
            while offset_bytes < size_bytes {
                let piece = self.piece(reader, offset_bytes, u64::MAX)?;
                offset_bytes += piece.length_bytes;
                each(piece)?;
            }
            return Ok(());
        };
        let chunk_bytes = 1_u64 << bits;
        while offset_bytes < size_bytes {
            let left = (size_bytes - offset_bytes).div_ceil(chunk_bytes);
            let table = self.addresses(reader, offset_bytes >> bits, left, has_indexes)?;
            for block in addresses(&table, has_indexes) {
                let length_bytes = chunk_bytes.min(size_bytes - offset_bytes);
                let piece = Piece::of_chunk(reader, block, length_bytes);
                self.check(reader, &piece)?;
                each(piece)?;
                offset_bytes += length_bytes;
            }
        }
        Ok(())
    }

    /// Refuses content that the image does not have.
    fn check(&self, reader: &Reader, piece: &Piece) -> Result<()> {
        let Some(start_bytes) = piece.image_offset_bytes else { return Ok(()) };
        let end_bytes = start_bytes.saturating_add(piece.length_bytes);
        let size_bytes = reader.metadata.size_bytes();
        if end_bytes > size_bytes {
            let nid = self.nid;
            return Err(corrupt(format!(
                "content of inode {nid} ends at {end_bytes}, behind the end of the image, {size_bytes}"
            )));
        }
        Ok(())
    }

    /// Gives all pieces, those that go on in one.
    pub(super) fn extents(
        &self,
        reader: &Reader,
        each: &mut dyn FnMut(Extent) -> Result<()>,
    ) -> Result<()> {
        let mut tell = |file_offset_bytes, piece: Piece| {
            each(Extent {
                file_offset_bytes,
                length_bytes: piece.length_bytes,
                image_offset_bytes: piece.image_offset_bytes,
                stored_bytes: piece.image_offset_bytes.map_or(0, |_| piece.length_bytes),
            })
        };
        let mut before: Option<(u64, Piece)> = None;
        let mut offset_bytes = 0;
        self.pieces(reader, &mut |piece| {
            let start_bytes = offset_bytes;
            offset_bytes += piece.length_bytes;
            match &mut before {
                Some((_, before)) if before.goes_on(&piece) => before.grow(&piece),
                _ => {
                    if let Some((start, piece)) = before.replace((start_bytes, piece)) {
                        tell(start, piece)?;
                    }
                }
            }
            Ok(())
        })?;
        before.map_or(Ok(()), |(start, piece)| tell(start, piece))
    }

    /// Fills `buffer` with content that is metadata: of directories and symbolic links.
    pub(super) fn read_metadata(
        &self,
        reader: &Reader,
        offset_bytes: u64,
        buffer: &mut [u8],
    ) -> Result<()> {
        let (mut at_bytes, mut free) = (offset_bytes, buffer);
        while !free.is_empty() {
            let piece = self.piece(reader, at_bytes, free.len() as u64)?;
            let taken = usize::try_from(piece.length_bytes).unwrap_or(usize::MAX).min(free.len());
            let (now, later) = free.split_at_mut(taken);
            if let Some(place) = piece.image_offset_bytes {
                reader.metadata.read(place, now)?;
            } else {
                reader.metadata.charge(now.len() as u64)?;
                now.fill(0);
            }
            at_bytes = at_bytes.saturating_add(taken as u64);
            free = later;
        }
        Ok(())
    }

    /// Why compressed content is not read: the error names the compressor.
    pub(super) fn compressed(&self, reader: &Reader) -> Error {
        let header: CompressionHeader =
            match reader.metadata.record(self.end_bytes().next_multiple_of(8)) {
                Ok(header) => header,
                Err(error) => return error,
            };
        let is_packed = header.cluster_bits & IN_PACKED_INODE != 0;
        let number = if is_packed {
            compressors(&reader.volume.record).next().unwrap_or(usize::MAX)
        } else {
            usize::from(header.algorithms & 0xf)
        };
        let name = COMPRESSORS.get(number).copied().unwrap_or("an unknown compressor");
        let place = if is_packed { ", in the packed inode" } else { "" };
        let nid = self.nid;
        unsupported(format!("inode {nid} is compressed ({name}{place}), which is not read"))
    }
}

/// The first blocks of chunks in a table.
fn addresses(table: &[u8], has_indexes: bool) -> impl Iterator<Item = u32> {
    let length = usize::try_from(Layout::address_bytes(has_indexes)).unwrap_or(1);
    table.chunks_exact(length).filter_map(move |entry| {
        if has_indexes {
            ChunkIndex::read_from_bytes(entry).ok().map(|index| index.start_block.get())
        } else {
            U32::read_from_bytes(entry).ok().map(U32::get)
        }
    })
}
