//! One directory record (ECMA-119 9.1).

use zerocopy::FromBytes;

use super::metadata::Image;
use crate::error::{Error, Result, corrupt};
use crate::iso9660::format::{DirectoryRecord, FLAG_ASSOCIATED, FLAG_DIRECTORY, FLAG_MULTI_EXTENT};

/// A record that lies in memory.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    /// The byte of the image at which it stands.
    pub(super) offset_bytes: u64,
    /// All of it.
    pub(super) bytes: &'a [u8],
    pub(super) header: &'a DirectoryRecord,
    pub(super) identifier: &'a [u8],
    /// Behind the identifier and its padding (9.1.13).
    pub(super) system_use: &'a [u8],
}

/// Identifiers of a directory's own record and of its parent's (9.1.11).
pub(super) const CURRENT: &[u8] = &[0];
pub(super) const PARENT: &[u8] = &[1];

impl<'a> Record<'a> {
    /// The record at the start of `bytes`, which end where its sector does; none where the
    /// sector has no further one.
    pub(super) fn parse(offset_bytes: u64, bytes: &'a [u8]) -> Result<Option<Self>> {
        let Some(length) = bytes.first().copied().filter(|length| *length > 0) else {
            return Ok(None);
        };
        let length = usize::from(length);
        let corrupt = |what: String| {
            let message = format!("directory record at byte {offset_bytes}: {what}");
            corrupt(message)
        };
        let record = bytes.get(..length).ok_or_else(|| {
            let left = bytes.len();
            corrupt(format!("expected at most {left} bytes up to its sector's end, got {length}"))
        })?;
        let (header, rest) = DirectoryRecord::ref_from_prefix(record)
            .map_err(|_| corrupt(format!("expected 34 bytes or more, got {length}")))?;
        let identifier_bytes = usize::from(header.identifier_bytes);
        let identifier = rest.get(..identifier_bytes).filter(|identifier| !identifier.is_empty());
        let identifier = identifier.ok_or_else(|| {
            let room = rest.len();
            corrupt(format!("expected an identifier of 1 to {room} bytes, got {identifier_bytes}"))
        })?;
        let start = (size_of::<DirectoryRecord>() + identifier_bytes).next_multiple_of(2);
        let system_use = record.get(start..).unwrap_or_default();
        Ok(Some(Self { offset_bytes, bytes: record, header, identifier, system_use }))
    }

    pub(super) fn is_directory(&self) -> bool {
        self.header.flags & FLAG_DIRECTORY != 0
    }

    /// Whether a further section of the same file follows.
    pub(super) fn continues(&self) -> bool {
        self.header.flags & FLAG_MULTI_EXTENT != 0
    }

    pub(super) fn is_associated(&self) -> bool {
        self.header.flags & FLAG_ASSOCIATED != 0
    }

    pub(super) fn is_dot(&self) -> bool {
        self.identifier == CURRENT || self.identifier == PARENT
    }

    /// The whole record's length.
    pub(super) fn length_bytes(&self) -> u64 {
        self.header.record_bytes.into()
    }

    pub(super) fn corrupt(&self, what: impl std::fmt::Display) -> Error {
        let message = format!("directory record at byte {}: {what}", self.offset_bytes);
        corrupt(message)
    }
}

/// Room for any record.
pub(super) type Room = [u8; 255];

/// Reads the record at this byte.
pub(super) fn at<'r>(image: &Image, offset_bytes: u64, room: &'r mut Room) -> Result<Record<'r>> {
    let left = image.size_bytes().saturating_sub(offset_bytes);
    let length = usize::try_from(left).unwrap_or(room.len()).min(room.len());
    let bytes = room.get_mut(..length).filter(|bytes| !bytes.is_empty());
    let bytes = bytes.ok_or_else(|| image.cut_off(offset_bytes))?;
    image.read(offset_bytes, bytes)?;
    Record::parse(offset_bytes, bytes)?.ok_or_else(|| {
        let message = format!("expected a directory record at byte {offset_bytes}, got none");
        corrupt(message)
    })
}
