//! Where the content of a file is: in one section of the image, or in several, each of which
//! has a record of its own (ECMA-119 6.5.1).

use super::Reader;
use super::record::{self, Record, Room};
use super::volume::start_of;
use crate::content::{Buffer, Sink};
use crate::error::{Error, ErrorKind, Result};

/// Most sections of one file: what Linux reads has at most 100.
const SECTIONS_MAX: usize = 4096;
/// How much is read at once.
const PIECE_BYTES: u64 = 256 << 10;

/// A part of a file's content.
#[expect(clippy::struct_field_names, reason = "units come last in names")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// Where it begins in the file.
    pub(super) file_offset_bytes: u64,
    pub(super) start_bytes: u64,
    pub(super) length_bytes: u64,
}

impl Reader {
    /// The sections of the file whose first record this is.
    pub(super) fn sections(&self, first: &Record<'_>) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        let mut file_offset_bytes = 0;
        self.push_section(&mut sections, &mut file_offset_bytes, first)?;
        if !first.continues() {
            return Ok(sections);
        }
        let mut offset_bytes = first.offset_bytes + first.length_bytes();
        loop {
            let mut room: Room = [0; 255];
            let record = self.next_record(offset_bytes, &mut room)?;
            if record.identifier != first.identifier {
                return Err(first.corrupt("expected a further section of its file, got none"));
            }
            self.push_section(&mut sections, &mut file_offset_bytes, &record)?;
            if !record.continues() {
                return Ok(sections);
            }
            offset_bytes = record.offset_bytes + record.length_bytes();
        }
    }

    fn push_section(
        &self,
        sections: &mut Vec<Section>,
        file_offset_bytes: &mut u64,
        record: &Record<'_>,
    ) -> Result<()> {
        if sections.len() == SECTIONS_MAX {
            let message = format!("a file has more than {SECTIONS_MAX} sections");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        let length_bytes = u64::from(record.header.data_bytes.get());
        let start_bytes = start_of(record.header, self.sharing.block_bytes);
        let file_offset = *file_offset_bytes;
        *file_offset_bytes += length_bytes;
        sections.push(Section { file_offset_bytes: file_offset, start_bytes, length_bytes });
        Ok(())
    }

    /// The record that stands next in a directory: at this byte, or at the start of a block
    /// behind it, but not further than its sector.
    fn next_record<'r>(&self, offset_bytes: u64, room: &'r mut Room) -> Result<Record<'r>> {
        let block_bytes = u64::from(self.sharing.block_bytes);
        let mut at = offset_bytes;
        for _ in 0..4 {
            let mut length = [0];
            self.image.read(at, &mut length)?;
            if length != [0] {
                break;
            }
            at = (at + 1).next_multiple_of(block_bytes);
        }
        record::at(&self.image, at, room)
    }

    /// The sections of a file whose content can be read.
    pub(super) fn readable(&self, offset_bytes: u64) -> Result<Vec<Section>> {
        let mut room: Room = [0; 255];
        let first = record::at(&self.image, offset_bytes, &mut room)?;
        let unsupported = |what: &str| {
            let message = format!("directory record at byte {offset_bytes}: {what} is not read");
            Err(Error::new(ErrorKind::Unsupported, message))
        };
        if first.header.unit_sectors != 0 || first.header.gap_sectors != 0 {
            return unsupported("an interleaved file");
        }
        if self.has_rock_ridge() && self.attributes(&first)?.plain_bytes.is_some() {
            return unsupported("a file compressed by zisofs");
        }
        self.sections(&first)
    }

    pub(super) fn read_sections(
        &self,
        sections: &[Section],
        offset_bytes: u64,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let mut filled = 0;
        for section in sections {
            let at = offset_bytes.saturating_add(filled as u64);
            let Some(inside) = at.checked_sub(section.file_offset_bytes) else { break };
            let left = section.length_bytes.saturating_sub(inside);
            let free = buffer.get_mut(filled..).unwrap_or_default();
            let length = usize::try_from(left).unwrap_or(free.len()).min(free.len());
            let piece = free.get_mut(..length).unwrap_or_default();
            if !piece.is_empty() {
                self.image.read_content(section.start_bytes + inside, piece)?;
            }
            filled += length;
        }
        Ok(filled)
    }

    pub(super) fn stream_sections(&self, sections: &[Section], sink: &mut dyn Sink) -> Result<()> {
        let longest = sections.iter().map(|section| section.length_bytes).max().unwrap_or(0);
        let longest = longest.min(PIECE_BYTES).min(self.image.size_bytes());
        let mut buffer = Buffer::zeroed(usize::try_from(longest).unwrap_or_default());
        for section in sections {
            let (mut at, mut left) = (section.start_bytes, section.length_bytes);
            // What is missing at the end is told before anything is given out.
            if left > 0 && self.image.size_bytes().saturating_sub(at) < left {
                return Err(self.image.cut_off(at.saturating_add(left)));
            }
            while left > 0 {
                let length = usize::try_from(left).unwrap_or(buffer.len()).min(buffer.len());
                let piece = buffer.get_mut(..length).unwrap_or_default();
                self.image.read_content(at, piece)?;
                sink.write_all(piece)?;
                at += length as u64;
                left -= length as u64;
            }
        }
        Ok(())
    }
}
