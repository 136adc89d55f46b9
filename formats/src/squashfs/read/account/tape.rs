//! Goes through a table from its first byte to its last and tells all of it.

use std::sync::Arc;

use super::super::cache::Unpacked;
use super::super::metadata::{Area, Cursor};
use super::super::unpack::HEADER_BYTES;
use super::super::{Reader, corrupt};
use super::{field, number, problem};
use crate::error::Result;
use crate::read::{Account, Field, Region, RegionKind};
use crate::squashfs::format::METADATA_BYTES;

/// How a field is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Number,
    Octal,
    Hex,
    /// A number whose bits are all set where there is none.
    Optional,
    /// The length of a block and whether it is stored as it is, or a hole.
    Size,
    /// A name of the image's own.
    Name,
    /// Nothing but its digest.
    Content,
}

/// A table's metadata blocks, one behind the other, and the place in them.
///
/// In a block that is stored as it is each record is a region, and the block's header is one.
/// A packed block is one region; its records are notes.
pub(super) struct Tape<'a> {
    pub(super) image: &'a Reader,
    pub(super) account: &'a mut dyn Account,
    area: Area,
    /// The flag that no block of it is packed, where that is said.
    is_raw: bool,
    /// Where the next block is.
    next: u64,
    /// How many blocks were begun.
    count: u64,
    block: Option<Block>,
    title: String,
    is_continued: bool,
    fields: Vec<Field>,
    /// Where the fields begin in the block.
    begun: usize,
}

/// The block at hand.
struct Block {
    position: u64,
    unpacked: Arc<Unpacked>,
    offset: usize,
    is_raw: bool,
    notes: Vec<String>,
}

impl Block {
    fn left(&self) -> usize {
        self.unpacked.bytes().len().saturating_sub(self.offset)
    }
}

impl<'a> Tape<'a> {
    pub(super) fn new(
        image: &'a Reader,
        account: &'a mut dyn Account,
        area: Area,
        is_raw: bool,
    ) -> Self {
        Self {
            image,
            account,
            area,
            is_raw,
            next: area.start,
            count: 0,
            block: None,
            title: String::new(),
            is_continued: false,
            fields: Vec::new(),
            begun: 0,
        }
    }

    /// Whether something is left. It opens the next block where the last one is at its end.
    pub(super) fn has_more(&mut self) -> Result<bool> {
        while self.block.as_ref().is_none_or(|block| block.left() == 0) {
            if self.next >= self.area.end {
                return Ok(false);
            }
            self.open()?;
        }
        Ok(true)
    }

    /// The place as references have it: the block's place in the table << 16 | the offset in it.
    /// Only right where [`Self::has_more`] says that something is left.
    pub(super) fn reference(&self) -> u64 {
        self.block.as_ref().map_or(0, |block| {
            block.position.saturating_sub(self.area.start) << 16 | block.offset as u64
        })
    }

    /// Where block and offset are in the image, or where the packed block is.
    pub(super) fn position(&self) -> u64 {
        self.block.as_ref().map_or(self.next, |block| {
            let within = if block.is_raw { HEADER_BYTES + block.offset } else { 0 };
            block.position.saturating_add(within as u64)
        })
    }

    /// A cursor at the place.
    pub(super) fn cursor(&self) -> Cursor {
        match &self.block {
            Some(block) => Cursor::at(self.area, block.position, block.offset),
            None => Cursor::at(self.area, self.next, 0),
        }
    }

    pub(super) fn problem(&mut self, message: impl Into<String>) -> Result<()> {
        let position = self.position();
        self.account.problem(problem(position, message))
    }

    /// Begins a record of this title.
    pub(super) fn begin(&mut self, title: String) -> Result<()> {
        self.has_more()?;
        if let Some(block) = &mut self.block {
            self.begun = block.offset;
            if !block.is_raw {
                block.notes.push(title.clone());
            }
        }
        self.title = title;
        Ok(())
    }

    /// Ends the record.
    pub(super) fn end(&mut self) -> Result<()> {
        self.tell_fields()?;
        self.is_continued = false;
        Ok(())
    }

    /// Reads a field of the record that is a number.
    pub(super) fn number(&mut self, name: &'static str, length: usize, show: Show) -> Result<u64> {
        let mut bytes = [0; 8];
        let window = bytes.get_mut(..length).unwrap_or_default();
        self.field(name, window, show)?;
        Ok(number(&bytes))
    }

    /// Reads a field of the record into all of `bytes`.
    pub(super) fn field(&mut self, name: &'static str, bytes: &mut [u8], show: Show) -> Result<()> {
        let whole = bytes.len();
        let mut filled = 0;
        while filled < whole {
            if !self.has_more()? {
                let message = format!("the {} end within a record", self.area.name);
                return Err(corrupt(message));
            }
            let Some(block) = &mut self.block else { break };
            let length = block.left().min(whole - filled);
            let from = block.unpacked.bytes().get(block.offset..).unwrap_or_default();
            let to = bytes.get_mut(filled..).unwrap_or_default();
            for (to, from) in to.iter_mut().zip(from).take(length) {
                *to = *from;
            }
            block.offset += length;
            filled += length;
            if block.is_raw {
                let value = if show == Show::Content {
                    None
                } else if filled < whole {
                    Some(format!("{length} of {whole} bytes"))
                } else {
                    Some(shown(bytes, show))
                };
                self.fields.push(field(name, length as u64, value));
            }
        }
        Ok(())
    }

    /// Passes over a field of the record whose value is of no use here.
    pub(super) fn pass(&mut self, name: &'static str, mut length: u64, show: Show) -> Result<()> {
        // A value of any length costs no memory.
        let mut piece = [0; 64];
        while length > 0 {
            let step = usize::try_from(length).unwrap_or(usize::MAX).min(piece.len());
            let window = piece.get_mut(..step).unwrap_or_default();
            let before = self.fields.len();
            self.field(name, window, show)?;
            // Pieces of one field side by side are one.
            if show == Show::Content && before > 0 && self.fields.len() > before {
                self.join(before);
            }
            length -= step as u64;
        }
        Ok(())
    }

    /// Passes over so many fields of one length. Where they are packed, nobody sees them one by
    /// one, and a few bytes may be many.
    pub(super) fn pass_all(
        &mut self,
        name: &'static str,
        unit: u64,
        count: u64,
        show: Show,
    ) -> Result<()> {
        let mut left = unit.saturating_mul(count);
        while left > 0 {
            let more = self.has_more()?;
            if let Some(block) = self.block.as_mut().filter(|block| more && !block.is_raw) {
                let step = (block.left() as u64).min(left);
                block.offset += usize::try_from(step).unwrap_or_default();
                left -= step;
            } else {
                let step = if left.is_multiple_of(unit) { unit } else { left % unit };
                self.pass(name, step, show)?;
                left -= step;
            }
        }
        Ok(())
    }

    /// Adds the field at `index` to the one before it if that is of the same content.
    fn join(&mut self, index: usize) {
        let Some((before, rest)) = self.fields.split_at_mut_checked(index) else { return };
        if let (Some(last), [first, ..]) = (before.last_mut(), rest)
            && last.name == first.name
            && last.value.is_none()
        {
            last.length_bytes += first.length_bytes;
            self.fields.remove(index);
        }
    }

    /// Ends the table: nothing may be left, and all blocks but the last are full.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.has_more()? {
            self.problem(format!("the {} go on behind the last of them", self.area.name))?;
        }
        self.close()
    }

    fn open(&mut self) -> Result<()> {
        if let Some(block) = &self.block
            && block.unpacked.bytes().len() < METADATA_BYTES
        {
            let (got, position) = (block.unpacked.bytes().len(), block.position);
            let message = format!(
                "the metadata block holds {got} bytes, expected 8192 as another one follows"
            );
            self.account.problem(problem(position, message))?;
        }
        self.close()?;
        let position = self.next;
        let (is_raw, _) = self.image.metadata_header(self.area, position)?;
        let unpacked = self.image.metadata_block(self.area, position)?;
        if self.is_raw && !is_raw {
            let message = "the metadata block is packed, expected none by the flags";
            self.account.problem(problem(position, message))?;
        }
        self.next = unpacked.end;
        self.count += 1;
        self.begun = 0;
        if is_raw {
            let header = field_of_header(&unpacked, position);
            let region = Region {
                offset_bytes: position,
                length_bytes: HEADER_BYTES as u64,
                kind: RegionKind::Record,
                title: format!("{}, block {}", self.area.name, self.count - 1),
                fields: vec![header],
                notes: Vec::new(),
            };
            self.account.region(region)?;
        }
        self.block = Some(Block { position, unpacked, offset: 0, is_raw, notes: Vec::new() });
        Ok(())
    }

    /// Tells what is open of the block at hand.
    fn close(&mut self) -> Result<()> {
        self.tell_fields()?;
        let Some(block) = self.block.take().filter(|block| !block.is_raw) else { return Ok(()) };
        let packed = block.unpacked.end.saturating_sub(block.position + HEADER_BYTES as u64);
        let fields =
            vec![field_of_header(&block.unpacked, block.position), field("packed", packed, None)];
        self.account.region(Region {
            offset_bytes: block.position,
            length_bytes: block.unpacked.end.saturating_sub(block.position),
            kind: RegionKind::Record,
            title: format!("{}, block {}", self.area.name, self.count.saturating_sub(1)),
            fields,
            notes: block.notes,
        })
    }

    /// Tells the fields of the record that are in the block at hand.
    fn tell_fields(&mut self) -> Result<()> {
        let Some(block) = &self.block else { return Ok(()) };
        if self.fields.is_empty() {
            return Ok(());
        }
        let mut title = self.title.clone();
        if self.is_continued {
            title.push_str(", continued");
        }
        self.is_continued = true;
        let start = self.begun;
        self.begun = block.offset;
        self.account.region(Region {
            offset_bytes: block.position.saturating_add((HEADER_BYTES + start) as u64),
            length_bytes: (block.offset - start) as u64,
            kind: RegionKind::Record,
            title,
            fields: std::mem::take(&mut self.fields),
            notes: Vec::new(),
        })
    }
}

fn field_of_header(unpacked: &Unpacked, position: u64) -> Field {
    let stored = unpacked.end.saturating_sub(position + HEADER_BYTES as u64);
    let unpacked = unpacked.bytes().len();
    field("header", HEADER_BYTES as u64, Some(format!("{stored} bytes of {unpacked}")))
}

/// A value for people.
pub(super) fn shown(bytes: &[u8], show: Show) -> String {
    let value = number(bytes);
    let none = u64::MAX >> (64 - 8 * bytes.len().clamp(1, 8));
    match show {
        Show::Octal => format!("{value:#o}"),
        Show::Hex => format!("{value:#x}"),
        Show::Optional if value == none => "none".to_owned(),
        Show::Number | Show::Optional => value.to_string(),
        Show::Size => size_shown(value),
        Show::Name => bytes.escape_ascii().to_string(),
        Show::Content => String::new(),
    }
}

fn size_shown(value: u64) -> String {
    let raw = u64::from(crate::squashfs::format::BLOCK_RAW);
    match value {
        0 => "hole".to_owned(),
        _ if value & raw != 0 => format!("{}, as it is", value & !raw),
        _ => format!("{value}, packed"),
    }
}
