//! The path tables, which list the directories once more (ECMA-119 6.9, 9.4).

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
        let (mut at, mut index) = (start, 0);
        while end.saturating_sub(at) >= PathTableRecord::BYTES as u64 {
            let mut head = [0; PathTableRecord::BYTES];
            self.reader.image.read(at, &mut head)?;
            let record = PathTableRecord::decode(head, table.order);
            let identifier_bytes = usize::from(record.identifier_bytes).next_multiple_of(2);
            let mut bytes = vec![0; PathTableRecord::BYTES + identifier_bytes];
            self.reader.image.read(at, &mut bytes)?;
            let length = bytes.len();
            let mut sheet = Sheet::new(at, &bytes);
            let identifier = told(&mut sheet, &record, tree.kind);
            check(&mut sheet, tree, index, &record, identifier);
            index += 1;
            self.record(sheet, format!("{title} record {index}"))?;
            at += length as u64;
        }
        if index != tree.directories.len() {
            let expected = tree.directories.len();
            let message = format!("{title}: expected {expected} records, got {index}");
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

/// The records have the order of the directories: by level, by parent, by identifier.
fn check(
    sheet: &mut Sheet<'_>,
    tree: &Tree,
    index: usize,
    record: &PathTableRecord,
    identifier: &[u8],
) {
    let Some(directory) = tree.directories.get(index) else { return };
    let offset_bytes = sheet.offset_bytes;
    if *directory.identifier != *identifier {
        sheet.problem(
            offset_bytes + 8,
            "identifier: expected that of the directory, got another one",
        );
    }
    let attributes = u64::from(record.attribute_sectors);
    let start = (u64::from(record.extent) + attributes) * u64::from(tree.block_bytes);
    if start != directory.start {
        let expected = directory.start;
        let message = format!("extent: expected a directory at byte {expected}, got byte {start}");
        sheet.problem(offset_bytes + 2, message);
    }
    // It counts on from 0 where there are more directories than it can number.
    let parent = directory.parent + 1;
    if u16::try_from(parent & 0xffff).ok() != Some(record.parent) {
        let message = format!("parent: expected number {parent}, got {}", record.parent);
        sheet.problem(offset_bytes + 6, message);
    }
}
