//! The records of a directory, one after another (ECMA-119 6.8.1).

use std::ops::ControlFlow;

use super::record::{self, Record, Room};
use super::volume::start_of;
use super::{Hierarchy, Reader, name};
use crate::error::{Result, corrupt};
use crate::iso9660::format::SECTOR_BYTES;
use crate::read::{Entry, InodeRef, names};

impl Reader {
    /// The directory whose own record stands at this byte: where its records begin, which is
    /// there, and how long they are.
    pub(super) fn own_record<'r>(
        &self,
        offset_bytes: u64,
        room: &'r mut Room,
    ) -> Result<Record<'r>> {
        let own = record::at(&self.image, offset_bytes, room)?;
        if own.identifier != record::CURRENT || !own.is_directory() {
            return Err(own.corrupt("expected a directory's own record, got another one"));
        }
        let start_bytes = start_of(own.header, self.sharing.block_bytes);
        if start_bytes != offset_bytes {
            let what = format!("expected the directory that it stands in, got byte {start_bytes}");
            return Err(own.corrupt(what));
        }
        Ok(own)
    }

    /// Gives each record of a directory to `each`, until it breaks.
    pub(super) fn records(
        &self,
        start_bytes: u64,
        length_bytes: u64,
        each: &mut dyn FnMut(&Record<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut sector = [0; SECTOR_BYTES];
        let mut at = 0;
        while at < length_bytes {
            let left = usize::try_from(length_bytes - at).unwrap_or(SECTOR_BYTES);
            let bytes = sector.get_mut(..left.min(SECTOR_BYTES)).unwrap_or_default();
            let sector_start_bytes = start_bytes.saturating_add(at);
            self.image.read(sector_start_bytes, bytes)?;
            let mut used = 0;
            while let Some(rest) = bytes.get(used..) {
                let offset_bytes = sector_start_bytes.saturating_add(used as u64);
                let Some(record) = Record::parse(offset_bytes, rest)? else { break };
                if each(&record)?.is_break() {
                    return Ok(());
                }
                used += usize::from(record.header.record_bytes);
            }
            at += SECTOR_BYTES as u64;
        }
        Ok(())
    }

    /// Gives what a directory shows to `each`: a file of several sections once, by its first
    /// record and the name of its last one, as Linux does.
    pub(super) fn shown(
        &self,
        directory: InodeRef,
        each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut room: Room = [0; 255];
        let own = self.own_record(directory.0, &mut room)?;
        let length_bytes = u64::from(own.header.data_bytes.get());
        // The first record of a file that goes on, and its identifier.
        let mut first: Option<(u64, Vec<u8>)> = None;
        self.records(directory.0, length_bytes, &mut |record| {
            let continued = first.take();
            if let Some((_, identifier)) = &continued
                && record.identifier != identifier.as_slice()
            {
                return Err(record.corrupt("expected a further section of the file before it"));
            }
            if record.continues() {
                if record.is_directory() || record.is_dot() {
                    return Err(record.corrupt("a directory has several sections"));
                }
                let start =
                    continued.unwrap_or_else(|| (record.offset_bytes, record.identifier.to_vec()));
                first = Some(start);
                return Ok(ControlFlow::Continue(()));
            }
            if record.is_dot() || record.is_associated() {
                return Ok(ControlFlow::Continue(()));
            }
            let first_bytes = continued.map_or(record.offset_bytes, |(first, _)| first);
            self.entry(record, first_bytes, each)
        })?;
        match first {
            Some((first_bytes, _)) => Err(corrupt(format!(
                "directory record at byte {first_bytes}: the file's last section is missing"
            ))),
            None => Ok(()),
        }
    }

    /// Names what a record shows, unless it is hidden.
    fn entry(
        &self,
        record: &Record<'_>,
        first_bytes: u64,
        each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let block_bytes = u64::from(self.sharing.block_bytes);
        let mut own_bytes =
            record.is_directory().then(|| start_of(record.header, self.sharing.block_bytes));
        let name = match self.hierarchy {
            Hierarchy::RockRidge => {
                let attributes = self.attributes(record)?;
                if attributes.is_relocated {
                    return Ok(ControlFlow::Continue(()));
                }
                if let Some(block) = attributes.moved_to {
                    own_bytes = Some(u64::from(block) * block_bytes);
                }
                Some(attributes.name.bytes).filter(|name| !name.is_empty())
            }
            Hierarchy::Joliet => Some(name::of_joliet(record.identifier)),
            Hierarchy::Plain => None,
        };
        let name = name.unwrap_or_else(|| name::of_plain(record.identifier));
        names::check(&name).map_err(|error| record.corrupt(error))?;
        // A directory is known by its own record, which all its paths lead to.
        let inode = InodeRef(own_bytes.unwrap_or(first_bytes));
        each(Entry { name: &name, inode })
    }
}
