//! Tables that are found by lists of places: exported inodes, owners.

use super::super::Reader;
use super::super::metadata::Table;
use super::{Found, Show, Tape, field, goes_on, problem, record};
use crate::error::Result;
use crate::read::Account;
use crate::squashfs::format::flags;

impl Reader {
    /// The list of a table's blocks, which must lead to them in their order.
    pub(super) fn tell_list(&self, table: &Table, account: &mut dyn Account) -> Result<()> {
        // In pieces, as the list may be long.
        const PIECE: u64 = 1024;
        let mut expected = Some(table.blocks.start);
        let count = table.block_count();
        let mut first = 0;
        while first < count {
            let last = count.min(first + PIECE);
            let mut fields = Vec::new();
            for index in first..last {
                let place = self.listed(table, index)?;
                let at = table.list.saturating_add(index.saturating_mul(8));
                fields.push(field("start_block", 8, Some(place.to_string())));
                if let Some(start) = expected.filter(|start| *start != place) {
                    let message = format!(
                        "bad place of block {index} of the {}: expected {start}, got {place}",
                        table.blocks.name
                    );
                    account.problem(problem(at, message))?;
                }
                expected = expected.and_then(|start| {
                    let (_, length) = self.metadata_header(table.blocks, start).ok()?;
                    Some(start + 2 + length as u64)
                });
            }
            let title = match first {
                0 => format!("list of {}", table.blocks.name),
                _ => format!("list of {} from {first} on", table.blocks.name),
            };
            let start = table.list.saturating_add(first.saturating_mul(8));
            account.region(record(start, (last - first) * 8, &title, fields))?;
            first = last;
        }
        Ok(())
    }

    pub(super) fn tell_exports(&self, found: &Found, account: &mut dyn Account) -> Result<()> {
        let Some(table) = self.layout.exports else { return Ok(()) };
        // The place of each inode by its number.
        let mut places: Vec<(u32, u64)> =
            found.inodes.iter().map(|known| (known.number, known.reference)).collect();
        places.sort_unstable();
        let mut places = places.into_iter().peekable();
        let is_raw = self.has_flag(flags::RAW_INODES);
        let each = |tape: &mut Tape<'_>, index: u64| {
            let number = index + 1;
            tape.begin(format!("exported inode {number}"))?;
            let place = tape.number("inode", 8, Show::Hex)?;
            while places.next_if(|(known, _)| u64::from(*known) < number).is_some() {}
            let known = places.next_if(|(known, _)| u64::from(*known) == number);
            if known.is_none_or(|(_, reference)| reference != place) {
                tape.problem(format!("the exported inode {number} is not there"))?;
            }
            tape.end()
        };
        self.tell_table(&table, is_raw, each, account)
    }

    pub(super) fn tell_ids(&self, account: &mut dyn Account) -> Result<()> {
        let is_raw = self.has_flag(flags::RAW_IDS);
        let each = |tape: &mut Tape<'_>, index: u64| {
            tape.begin(format!("owner {index}"))?;
            tape.number("id", 4, Show::Number)?;
            tape.end()
        };
        self.tell_table(&self.layout.ids, is_raw, each, account)
    }

    /// All records of a table, by `each`, and the list of its blocks.
    pub(super) fn tell_table(
        &self,
        table: &Table,
        is_raw: bool,
        mut each: impl FnMut(&mut Tape<'_>, u64) -> Result<()>,
        account: &mut dyn Account,
    ) -> Result<()> {
        let mut tape = Tape::new(self, account, table.blocks, is_raw);
        let outcome = (0..table.records).try_for_each(|index| each(&mut tape, index));
        let outcome = outcome.and_then(|()| tape.finish());
        goes_on(outcome, table.blocks, account)?;
        self.tell_list(table, account)
    }
}
