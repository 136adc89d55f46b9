//! The path tables, which list the directories once more (ECMA-119 6.9, 9.4).

use std::collections::HashMap;

use super::Ledger;
use super::sheet::Sheet;
use super::tree::{Kind, Tree};
use crate::error::Result;
use crate::iso9660::format::{ByteOrder, PathTableRecord, SECTOR_BYTES};
use crate::iso9660::read::volume::Volume;

/// A table: its name, byte order and first block.
struct Table {
    name: &'static str,
    order: ByteOrder,
    block: u32,
}

impl Ledger<'_> {
    pub(super) fn path_tables(&mut self, volume: &Volume, tree: &Tree) -> Result<()> {
        let record = &volume.record;
        let tables = [
            ("L path table", ByteOrder::Little, record.path_table_little.get()),
            ("M path table", ByteOrder::Big, record.path_table_big.get()),
            ("optional L path table", ByteOrder::Little, record.optional_little.get()),
            ("optional M path table", ByteOrder::Big, record.optional_big.get()),
        ];
        for (name, order, block) in tables {
            // An enhanced descriptor may have the primary one's.
            let start = u64::from(block) * u64::from(tree.block_bytes);
            let is_told = tree.kind == Kind::Enhanced && self.path_tables.contains(&start);
            if block != 0 && !is_told {
                self.path_tables.push(start);
                self.path_table(volume, tree, &Table { name, order, block })?;
            }
        }
        Ok(())
    }

    fn path_table(&mut self, volume: &Volume, tree: &Tree, table: &Table) -> Result<()> {
        let start = u64::from(table.block) * u64::from(tree.block_bytes);
        let length = u64::from(volume.record.path_table_bytes.get());
        let end = start.saturating_add(length);
        let title = format!("{}{}", tree.kind.prefix(), table.name);
        let mut check = Check::of(tree);
        let mut at = start;
        while end.saturating_sub(at) >= PathTableRecord::BYTES as u64 {
            let mut head = [0; PathTableRecord::BYTES];
            self.reader.image.read(at, &mut head)?;
            let record = PathTableRecord::decode(head, table.order);
            let identifier_bytes = usize::from(record.identifier_bytes).next_multiple_of(2);
            let mut bytes = vec![0; PathTableRecord::BYTES + identifier_bytes];
            self.reader.image.read(at, &mut bytes)?;
            let mut sheet = Sheet::new(at, &bytes, self.account.wants_text());
            let identifier = told(&mut sheet, &record, tree.kind);
            check.next(&mut sheet, &record, identifier);
            self.record(sheet, format!("{title} record {}", check.starts.len()))?;
            at += bytes.len() as u64;
        }
        if check.starts.len() != tree.directories.len() {
            let (expected, got) = (tree.directories.len(), check.starts.len());
            let message = format!("{title}: expected {expected} records, got {got}");
            self.problem(start, message)?;
        }
        if at != end {
            let message = format!("path table size: expected the end of a record, got {length}");
            self.problem(start, message)?;
        }
        let slack = at.next_multiple_of(SECTOR_BYTES as u64) - at;
        self.padding(at, slack, &format!("padding of {title}"))
    }
}

/// Tells of a record; returns the identifier.
fn told<'b>(sheet: &mut Sheet<'b>, record: &PathTableRecord, kind: Kind) -> &'b [u8] {
    let length = usize::from(record.identifier_bytes);
    sheet.byte("identifier length");
    sheet.byte("extended attribute length");
    sheet.shown("extent", 4, record.extent.to_string());
    sheet.shown("parent", 2, record.parent.to_string());
    let identifier = sheet.named("identifier", length, |identifier| {
        super::record::shown(identifier, kind == Kind::Joliet)
    });
    sheet.zeros("padding", 1);
    identifier
}

/// Compares a table with the directories.
struct Check<'t> {
    tree: &'t Tree,
    /// Places of the directories by where they begin; those that the table had are gone.
    places: HashMap<u64, usize>,
    /// Where the directories of the records so far begin.
    starts: Vec<u64>,
    last_parent: u16,
}

impl<'t> Check<'t> {
    fn of(tree: &'t Tree) -> Self {
        let places = tree.directories.iter().enumerate();
        let places = places.map(|(place, directory)| (directory.start, place)).collect();
        Self { tree, places, starts: Vec::new(), last_parent: 1 }
    }

    /// The records are ordered by level, then by their parents, then by identifiers, of which
    /// genisoimage has an order of its own where they break the rules (6.9.1).
    fn next(&mut self, sheet: &mut Sheet<'_>, record: &PathTableRecord, identifier: &[u8]) {
        let offset_bytes = sheet.offset_bytes;
        let block = u64::from(record.extent) + u64::from(record.attribute_sectors);
        let start = block * u64::from(self.tree.block_bytes);
        self.starts.push(start);
        let place = self.places.remove(&start);
        let Some(directory) = place.and_then(|place| self.tree.directories.get(place)) else {
            let message =
                format!("extent: expected a directory's that is not there yet, got byte {start}");
            return sheet.problem(offset_bytes + 2, message);
        };
        if *directory.identifier != *identifier {
            let message = "identifier: expected that of the directory, got another one";
            sheet.problem(offset_bytes + 8, message);
        }
        let parent = self.tree.directories.get(directory.parent).map(|parent| parent.start);
        let named = usize::from(record.parent).checked_sub(1);
        let named = named.and_then(|parent| self.starts.get(parent)).copied();
        // Numbers have 16 bits: libisofs writes the largest where there are more directories.
        let is_numbered = u16::try_from(self.starts.len()).is_ok();
        if named != parent && is_numbered {
            let message = format!(
                "parent: expected the number of the parent's record, got {}",
                record.parent
            );
            sheet.problem(offset_bytes + 6, message);
        } else if record.parent < self.last_parent {
            let expected = self.last_parent;
            let message = format!("parent: expected {expected} or more, got {}", record.parent);
            sheet.problem(offset_bytes + 6, message);
        }
        self.last_parent = record.parent;
    }
}
