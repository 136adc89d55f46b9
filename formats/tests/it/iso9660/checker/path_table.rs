//! Path tables: ECMA-119 6.9 and 9.4.

use super::bytes::{Image, View};
use super::claims::Claims;
use super::directory::{Directory, Hierarchy};
use super::identifier::Alphabet;
use super::volume::Root;
use super::{Result, SECTOR_BYTES};

/// Both tables hold exactly the directories of the tree: by level, then by the number
/// of the parent, then by identifier, which is the order that directories keep.
pub(crate) fn check(
    image: &dyn Image,
    claims: &mut Claims,
    root: &Root,
    hierarchy: &Hierarchy,
) -> Result<()> {
    let tables = [("little", root.little_path_table), ("big", root.big_path_table)];
    for (order, sector) in tables {
        let tree = if root.alphabet == Alphabet::Joliet { "Joliet's " } else { "" };
        let name = format!("{tree}{order}-endian path table");
        let start = u64::from(sector) * SECTOR_BYTES;
        let table = View::read(image, start, u64::from(root.path_table_bytes), name)?;
        claims.record(&table);
        check_table(&table, order == "big", &hierarchy.directories)?;
    }
    Ok(())
}

fn check_table(table: &View, is_big: bool, directories: &[Directory]) -> Result<()> {
    let mut position = 1;
    for (number, directory) in (1..).zip(directories) {
        let identifier = &directory.identifier;
        let end = position + 8 + identifier.len().next_multiple_of(2);
        if end > table.len() + 1 {
            return table.fault(position, format!("ends before directory {number}"));
        }
        let (extent, parent) = if is_big {
            (table.big32(position + 2), table.big16(position + 6))
        } else {
            (table.little32(position + 2), table.little16(position + 6))
        };
        let checks = [
            ("identifier length", u64::from(table.byte(position)), identifier.len() as u64, 0),
            ("extended attribute length", u64::from(table.byte(position + 1)), 0, 1),
            ("extent", u64::from(extent), directory.extent.start / SECTOR_BYTES, 2),
            ("parent", u64::from(parent), directory.parent as u64 + 1, 6),
        ];
        for (what, got, expected, at) in checks {
            if got != expected {
                let what = format!("directory {number}: {what}: expected {expected}, got {got}");
                return table.fault(position + at, what);
            }
        }
        table.is(position + 8, identifier, &format!("directory {number}: identifier"))?;
        let padding = identifier.len() % 2;
        table.filled(position + 8 + identifier.len(), padding, 0, "padding")?;
        position = end;
    }
    if position <= table.len() {
        return table.fault(position, "goes on behind the last directory");
    }
    Ok(())
}
