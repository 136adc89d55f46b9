//! One directory: its records in their order, what continues them, and what they lead to.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::fields::Chains;
use super::sheet::Sheet;
use super::tree::{Directory, Kind, Moved, Tree};
use super::{Ledger, Links, order};
use crate::error::Result;
use crate::iso9660::format::SECTOR_BYTES;
use crate::iso9660::read::record::{CURRENT, PARENT, Record};
use crate::iso9660::read::rock_ridge::{Attributes, Posix};
use crate::iso9660::read::system_use::{Areas, End, Sharing};
use crate::iso9660::read::volume::start_of;
use crate::read::{NodeKind, RegionKind};

/// What is known on the way through a directory.
struct Cursor {
    index: usize,
    /// Number of the next record.
    number: usize,
    /// Where the last record ends.
    end: u64,
    /// Identifier of the last record, and whether a section of its file follows.
    last: Vec<u8>,
    continues: bool,
    /// Number of the section.
    section: u32,
    path: String,
}

impl Ledger<'_> {
    pub(super) fn directory(&mut self, tree: &mut Tree, index: usize) -> Result<()> {
        let Some(directory) = tree.directories.get(index) else { return Ok(()) };
        let (start, length, record) = (directory.start, directory.length, directory.record);
        if length == 0 || !length.is_multiple_of(SECTOR_BYTES as u64) {
            let message =
                format!("data length of a directory: expected whole sectors, got {length}");
            self.problem(record, message)?;
        }
        let mut cursor = Cursor {
            index,
            number: 0,
            end: start,
            last: Vec::new(),
            continues: false,
            section: 0,
            path: tree.path(index),
        };
        let shown = format!("padding of {}directory {}", tree.kind.prefix(), tree.shown(index));
        let reader = self.reader;
        reader.records(start, length, &mut |record| {
            if record.offset_bytes > cursor.end {
                self.padding(cursor.end, record.offset_bytes - cursor.end, &shown)?;
            }
            cursor.end = record.offset_bytes + record.length_bytes();
            self.directory_record(tree, &mut cursor, record)?;
            cursor.number += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        if cursor.number < 2 {
            self.problem(start, "directory: expected the records of `.` and `..`, got fewer")?;
        }
        if cursor.continues {
            self.problem(cursor.end, "directory: expected a further section of a file, got none")?;
        }
        self.padding(cursor.end, (start + length).saturating_sub(cursor.end), &shown)
    }

    fn directory_record(
        &mut self,
        tree: &mut Tree,
        cursor: &mut Cursor,
        record: &Record<'_>,
    ) -> Result<()> {
        let is_section = cursor.continues && cursor.last == record.identifier;
        cursor.section = if is_section { cursor.section + 1 } else { 1 };
        let is_joliet = tree.kind == Kind::Joliet;
        let shown = super::record::shown(record.identifier, is_joliet);
        let prefix = tree.kind.prefix();
        let title = match record.identifier {
            CURRENT | PARENT => format!("{prefix}record {shown} of {}", tree.shown(cursor.index)),
            _ if cursor.section > 1 => {
                format!("{prefix}record of {}{shown}, section {}", cursor.path, cursor.section)
            }
            _ => format!("{prefix}record of {}{shown}", cursor.path),
        };
        let attributes = self.whole_record(tree, record, &shown, &title)?;
        match (cursor.number, record.identifier) {
            (0, CURRENT) => self.own_record(tree, cursor.index, record, &attributes)?,
            (1, PARENT) => self.parent_record(tree, cursor.index, record, &attributes)?,
            (0 | 1, _) => {
                let expected = if cursor.number == 0 { "`.`" } else { "`..`" };
                let message = format!("identifier: expected {expected} here, got another one");
                self.problem(record.offset_bytes + 33, message)?;
            }
            (_, CURRENT | PARENT) => {
                let message = "identifier: expected an entry, got a directory's own record";
                self.problem(record.offset_bytes + 33, message)?;
            }
            _ => {
                self.check_order(tree.kind, cursor, record)?;
                self.entry(tree, cursor, record, &attributes, &shown)?;
            }
        }
        cursor.continues = record.continues();
        cursor.last.clear();
        cursor.last.extend(record.identifier);
        Ok(())
    }

    /// Tells of a record, and of the areas in which its fields go on.
    fn whole_record(
        &mut self,
        tree: &Tree,
        record: &Record<'_>,
        shown: &str,
        title: &str,
    ) -> Result<Attributes> {
        let mut sheet = Sheet::new(record.offset_bytes, record.bytes, self.account.wants_text());
        let is_joliet = tree.kind == Kind::Joliet;
        super::record::start(&mut sheet, record, shown.to_owned(), is_joliet);
        let mut attributes = Attributes::default();
        let rock_ridge = self.reader.rock_ridge.filter(|_| tree.kind == Kind::RockRidge);
        let Some(skipped_bytes) = rock_ridge else {
            let length = sheet.left();
            sheet.hidden("system use", length);
            self.record(sheet, title.to_owned())?;
            return Ok(attributes);
        };
        let sharing = Sharing { skipped_bytes, block_bytes: tree.block_bytes };
        sheet.hidden("system use before the fields", skipped_bytes.min(record.system_use.len()));
        let mut chains = Chains::default();
        let mut areas = Areas::of(record);
        let end = sharing.own_fields(record, &mut |field| {
            attributes.take(&field)?;
            chains.tell(&mut sheet, &field);
            Ok(ControlFlow::Continue(()))
        })?;
        sheet.zeros("padding", record.bytes.len());
        self.record(sheet, title.to_owned())?;
        let mut next = match end {
            End::Broken => None,
            End::Area { next } => next,
        };
        let mut number = 0;
        while let Some(area) = next {
            let bytes = areas.read(&self.reader.image, area)?;
            number += 1;
            let mut sheet = Sheet::new(area.offset_bytes, &bytes, self.account.wants_text());
            let end = sharing.area(area.offset_bytes, &bytes, &mut |field| {
                attributes.take(&field)?;
                chains.tell(&mut sheet, &field);
                Ok(ControlFlow::Continue(()))
            })?;
            sheet.zeros("padding", bytes.len());
            self.record(sheet, format!("continuation {number} of {title}"))?;
            next = match end {
                End::Broken => None,
                End::Area { next } => next,
            };
        }
        if let Some(fault) = chains.fault() {
            self.problem(record.offset_bytes, fault)?;
        }
        Ok(attributes)
    }

    /// `.` is the directory itself, as its parent's record has it (ECMA-119 6.8.2.2).
    fn own_record(
        &mut self,
        tree: &mut Tree,
        index: usize,
        record: &Record<'_>,
        attributes: &Attributes,
    ) -> Result<()> {
        let block_bytes = tree.block_bytes;
        let Some(directory) = tree.directories.get_mut(index) else { return Ok(()) };
        let got = (start_of(record.header, block_bytes), u64::from(record.header.data_bytes.get()));
        let expected = (directory.start, directory.length);
        let is_same = directory.posix.is_none() || directory.posix == attributes.posix;
        if index == 0 {
            directory.posix = attributes.posix;
        }
        if got != expected {
            let message = format!(
                "extent of `.`: expected {} bytes at {}, got {} at {}",
                expected.1, expected.0, got.1, got.0
            );
            self.problem(record.offset_bytes + 2, message)?;
        }
        if !is_same {
            let message = "PX of `.`: expected that of the directory's record, got another one";
            self.problem(record.offset_bytes, message)?;
        }
        Ok(())
    }

    /// `..` is the parent; of a directory that was moved elsewhere `PL` says which one.
    fn parent_record(
        &mut self,
        tree: &mut Tree,
        index: usize,
        record: &Record<'_>,
        attributes: &Attributes,
    ) -> Result<()> {
        let got = start_of(record.header, tree.block_bytes);
        let Some(directory) = tree.directories.get_mut(index) else { return Ok(()) };
        directory.moved_from = attributes.moved_from;
        let (own, parent) = (directory.start, directory.parent);
        let expected = tree.directories.get(parent).map(|parent| parent.start);
        // libisofs writes the directory itself there but in the primary tree.
        let is_known = matches!(tree.kind, Kind::Joliet | Kind::Enhanced) && got == own;
        if Some(got) != expected && !is_known {
            let expected = expected.unwrap_or_default();
            let message = format!("extent of `..`: expected byte {expected}, got {got}");
            self.problem(record.offset_bytes + 2, message)?;
        }
        Ok(())
    }

    fn check_order(&mut self, kind: Kind, cursor: &Cursor, record: &Record<'_>) -> Result<()> {
        let is_same = cursor.last == record.identifier;
        if cursor.continues && !is_same {
            let message = "identifier: expected a further section of the file before it";
            return self.problem(record.offset_bytes + 33, message);
        }
        if cursor.number == 2 || cursor.continues {
            return Ok(());
        }
        match order::compare(&cursor.last, record.identifier, kind) {
            Ordering::Less => Ok(()),
            Ordering::Equal if !is_same => Ok(()),
            Ordering::Equal => {
                let message = "identifier: expected another one than before, got the same";
                self.problem(record.offset_bytes + 33, message)
            }
            Ordering::Greater => {
                let message = "identifier: expected one that sorts behind the one before it";
                self.problem(record.offset_bytes + 33, message)
            }
        }
    }

    fn entry(
        &mut self,
        tree: &mut Tree,
        cursor: &Cursor,
        record: &Record<'_>,
        attributes: &Attributes,
        shown: &str,
    ) -> Result<()> {
        let name = match &attributes.name.bytes {
            name if !name.is_empty() => name.escape_ascii().to_string(),
            _ => shown.to_owned(),
        };
        if tree.kind == Kind::RockRidge {
            self.check_attributes(record, attributes, cursor.section == 1)?;
        }
        let start = start_of(record.header, tree.block_bytes);
        let length = u64::from(record.header.data_bytes.get());
        let title = format!("{}{}{name}", tree.kind.prefix(), cursor.path);
        self.attribute_record(tree, record, &title)?;
        if record.is_directory() {
            tree.directories.push(Directory {
                start,
                length,
                parent: cursor.index,
                identifier: record.identifier.into(),
                name: name.into(),
                record: record.offset_bytes,
                posix: attributes.posix,
                moved_from: None,
                is_relocated: attributes.is_relocated,
            });
            return Ok(());
        }
        if let Some(block) = attributes.moved_to {
            let to = u64::from(block) * u64::from(tree.block_bytes);
            let from = tree.directories.get(cursor.index).map_or(0, |directory| directory.start);
            tree.moved.push(Moved { record: record.offset_bytes, to, from });
            return Ok(());
        }
        if length == 0 || record.header.unit_sectors != 0 {
            return Ok(());
        }
        let title = match cursor.section {
            1 if !record.continues() => format!("content of {title}"),
            section => format!("content of {title}, section {section}"),
        };
        self.file(tree.kind, record, (start, length), &title)
    }

    /// The content of a file, which both trees have in common.
    fn file(
        &mut self,
        kind: Kind,
        record: &Record<'_>,
        (start, length): (u64, u64),
        title: &str,
    ) -> Result<()> {
        let sector_bytes = SECTOR_BYTES as u64;
        let size_bytes = self.reader.image.size_bytes();
        if start.saturating_add(length) > size_bytes {
            let message = format!(
                "extent: expected an end within {size_bytes} bytes, got {length} from byte {start} on"
            );
            return self.problem(record.offset_bytes + 2, message);
        }
        if self.catalog.is_some_and(|sector| u64::from(sector) * sector_bytes == start) {
            // It is told as a record.
            let rest = length.saturating_sub(sector_bytes);
            return if rest == 0 {
                Ok(())
            } else {
                self.content(start + sector_bytes, rest, title)
            };
        }
        if kind == Kind::Joliet && !self.claims.is_content(start, length) {
            let message =
                "extent: expected content that the primary tree has, too, got other content";
            self.problem(record.offset_bytes + 2, message)?;
        }
        if record.continues() && !length.is_multiple_of(sector_bytes) {
            let message = format!(
                "data length: expected whole sectors before a further section, got {length}"
            );
            self.problem(record.offset_bytes + 10, message)?;
        }
        self.content(start, length, title)
    }

    /// The sectors of an extended attribute record (ECMA-119 9.5), in front of the content.
    fn attribute_record(&mut self, tree: &Tree, record: &Record<'_>, title: &str) -> Result<()> {
        let block_bytes = u64::from(tree.block_bytes);
        let length = u64::from(record.header.attribute_sectors) * block_bytes;
        let start = u64::from(record.header.extent.get()) * block_bytes;
        if length == 0 || start.saturating_add(length) > self.reader.image.size_bytes() {
            return Ok(());
        }
        self.claims.record(start, length);
        let title = format!("extended attribute record of {title}");
        self.region(RegionKind::Record, start, length, title)
    }

    /// What the fields of Rock Ridge have to say, and that they agree with the record.
    fn check_attributes(
        &mut self,
        record: &Record<'_>,
        attributes: &Attributes,
        is_first_section: bool,
    ) -> Result<()> {
        let Some(posix) = attributes.posix else {
            return self.problem(record.offset_bytes, "expected a field PX, got none");
        };
        let Posix { mode, serial, .. } = posix;
        let Some(kind) = posix.kind(None) else {
            return self
                .problem(record.offset_bytes, format!("PX mode: {mode:#o} has no file type"));
        };
        let is_link = kind == NodeKind::Symlink;
        if is_link != attributes.target.is_some() {
            self.problem(record.offset_bytes, "expected a field SL of symbolic links alone")?;
        }
        let is_device = matches!(kind, NodeKind::CharDevice(_) | NodeKind::BlockDevice(_));
        if is_device != attributes.device.is_some() {
            self.problem(record.offset_bytes, "expected a field PN of devices alone")?;
        }
        // Of a directory's links verify knows more.
        match serial {
            Some(serial) if kind != NodeKind::Directory && is_first_section => {
                self.link(serial, record, posix)
            }
            _ => Ok(()),
        }
    }

    /// Counts the records of a serial number, which are all the same.
    fn link(&mut self, serial: u32, record: &Record<'_>, posix: Posix) -> Result<()> {
        let extent = (record.header.extent.get(), record.header.data_bytes.get());
        let offset_bytes = record.offset_bytes;
        let new = Links { offset_bytes, posix, extent, found: 0 };
        let links = self.links.entry(serial).or_insert(new);
        links.found += 1;
        if (links.posix, links.extent) == (posix, extent) {
            return Ok(());
        }
        let message = format!(
            "PX serial: expected the same attributes and content as at byte {}, got others",
            links.offset_bytes
        );
        self.problem(offset_bytes, message)
    }
}
