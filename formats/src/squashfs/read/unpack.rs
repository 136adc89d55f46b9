//! Blocks as they are stored, and what they were before.

use std::sync::{Arc, MutexGuard, PoisonError};

use super::cache::{State, Unpacked};
use super::metadata::Area;
use super::{Reader, corrupt, in_memory};
use crate::compress::{Fault, Unpack};
use crate::content::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::squashfs::format::{METADATA_BYTES, METADATA_RAW};

/// Length of a metadata block's header.
pub(super) const HEADER_BYTES: usize = 2;
/// Content costs this much less than metadata: what it takes to unpack is what comes out.
const CONTENT_SHARE: u64 = 4;

/// One who unpacks, with what it needs for that.
#[derive(Default)]
pub(super) struct Worker {
    stored: Buffer,
    unpacker: Option<Box<dyn Unpack>>,
}

/// A block of data or of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) position: u64,
    pub(super) length: u32,
    pub(super) is_raw: bool,
}

impl Stored {
    pub(super) fn end(&self) -> u64 {
        self.position.saturating_add(u64::from(self.length))
    }
}

impl Reader {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metadata block at `position` of `area`, unpacked: 1 to 8192 bytes.
    pub(super) fn metadata_block(&self, area: Area, position: u64) -> Result<Arc<Unpacked>> {
        if let Some(block) = self.state().metadata.get(position) {
            return Ok(block);
        }
        let block = self.read_metadata_block(area, position)?;
        self.state().metadata.insert(position, Arc::clone(&block));
        Ok(block)
    }

    fn read_metadata_block(&self, area: Area, position: u64) -> Result<Arc<Unpacked>> {
        let (is_raw, length) = self.metadata_header(area, position)?;
        let start = position.saturating_add(HEADER_BYTES as u64);
        let end = start.saturating_add(length as u64);
        self.meter.charge((length + METADATA_BYTES) as u64)?;
        let mut bytes = Buffer::zeroed(METADATA_BYTES);
        if is_raw {
            let window = bytes.get_mut(..length).unwrap_or_default();
            self.storage.read_exact_at(start, window)?;
            return Ok(Unpacked::new(bytes, length, end));
        }
        let unpacked = self.unpack_at(start, length, &mut bytes);
        let unpacked = unpacked.map_err(|error| at_block(&error, "metadata block", position))?;
        if unpacked == 0 {
            return Err(corrupt(format!("the metadata block at byte {position} is empty")));
        }
        Ok(Unpacked::new(bytes, unpacked, end))
    }

    /// Whether a metadata block is stored as it is, and its stored length: `area` holds all of
    /// it (`squashfs_read_data` of Linux' `block.c`).
    pub(super) fn metadata_header(&self, area: Area, position: u64) -> Result<(bool, usize)> {
        let start = position.checked_add(HEADER_BYTES as u64);
        if position < area.start || start.is_none_or(|start| start > area.end) {
            let Area { name, start, end } = area;
            return Err(corrupt(format!(
                "a metadata block of the {name} is at byte {position}, expected it in bytes \
                 {start} to {end}"
            )));
        }
        let mut header = [0; HEADER_BYTES];
        self.storage.read_exact_at(position, &mut header)?;
        let header = u16::from_le_bytes(header);
        let length = usize::from(header & !METADATA_RAW);
        if length == 0 || length > METADATA_BYTES {
            return Err(corrupt(format!(
                "the metadata block at byte {position} has {length} bytes, expected 1 to 8192"
            )));
        }
        let end = start.and_then(|start| start.checked_add(length as u64));
        if end.is_none_or(|end| end > area.end) {
            let (name, end) = (area.name, area.end);
            return Err(corrupt(format!(
                "the metadata block at byte {position} has {length} bytes, but the {name} end at \
                 byte {end}"
            )));
        }
        Ok((header & METADATA_RAW != 0, length))
    }

    /// Reads or unpacks a block of data into the start of `output` and returns its length.
    pub(super) fn read_block(&self, block: Stored, output: &mut [u8]) -> Result<usize> {
        let length = in_memory(block.length.into());
        if block.is_raw {
            let room = output.len();
            let window = output.get_mut(..length).ok_or_else(|| too_long(block, length, room))?;
            self.charge_content(length as u64)?;
            self.storage.read_exact_at(block.position, window)?;
            return Ok(length);
        }
        self.charge_content((length + output.len()) as u64)?;
        let unpacked = self.unpack_at(block.position, length, output);
        unpacked.map_err(|error| at_block(&error, "block", block.position))
    }

    /// Counts content that is read as it is.
    pub(super) fn charge_content(&self, length: u64) -> Result<()> {
        self.meter.charge(length / CONTENT_SHARE)
    }

    /// Unpacks what is stored at `position` into the start of `output`.
    fn unpack_at(&self, position: u64, length: usize, output: &mut [u8]) -> Result<usize> {
        let mut worker = self.state().workers.pop().unwrap_or_default();
        if worker.stored.len() < length {
            worker.stored = Buffer::zeroed(length);
        }
        let stored = worker.stored.get_mut(..length).unwrap_or_default();
        self.storage.read_exact_at(position, stored)?;
        if worker.unpacker.is_none() {
            worker.unpacker = Some(self.compressor.unpacker(self.superblock.block_bytes.get())?);
        }
        let room = output.len();
        let outcome = match &mut worker.unpacker {
            Some(unpacker) => unpacker.unpack(stored, output),
            None => Err(Fault::Broken),
        };
        self.state().workers.push(worker);
        let name = self.compressor.name();
        outcome.map_err(|fault| match fault {
            Fault::Broken => corrupt(format!("it is not valid {name}")),
            Fault::TooLong => corrupt(format!("it unpacks to more than {room} bytes")),
            Fault::Unsupported(what) => {
                Error::new(ErrorKind::Unsupported, format!("it has {what}"))
            }
        })
    }
}

fn at_block(error: &Error, what: &str, position: u64) -> Error {
    Error::new(error.kind(), format!("the {what} at byte {position}: {error}"))
}

fn too_long(block: Stored, length: usize, room: usize) -> Error {
    let position = block.position;
    corrupt(format!("the block at byte {position} has {length} bytes, expected at most {room}"))
}
