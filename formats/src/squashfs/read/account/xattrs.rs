//! Extended attributes: the sets, and the names and values that they are made of.

use super::super::metadata::Cursor;
use super::super::open::XattrTables;
use super::super::xattr::REFERENCE_BYTES;
use super::super::{Reader, corrupt};
use super::{Show, Tape, field, goes_on, problem, record};
use crate::error::Result;
use crate::read::Account;
use crate::squashfs::format::{XATTR_ELSEWHERE, XattrTable, flags};
use crate::xattrs::VALUE_MAX_BYTES;

/// A set as its table has it.
struct Set {
    index: u64,
    position: u64,
    count: u64,
    size: u64,
}

impl Reader {
    pub(super) fn tell_xattrs(&self, account: &mut dyn Account) -> Result<()> {
        let Some(tables) = &self.layout.xattrs else { return Ok(()) };
        let is_raw = self.has_flag(flags::RAW_XATTRS);
        let mut sets = Vec::new();
        let each = |tape: &mut Tape<'_>, index: u64| {
            tape.begin(format!("set of extended attributes {index}"))?;
            sets.push(Set {
                index,
                position: tape.number("xattr", 8, Show::Hex)?,
                count: tape.number("count", 4, Show::Number)?,
                size: tape.number("size", 4, Show::Number)?,
            });
            tape.end()
        };
        self.tell_table(&tables.ids, is_raw, each, account)?;
        let head_bytes = size_of::<XattrTable>() as u64;
        let mut unused = [0; 4];
        self.storage.read_exact_at(tables.head.saturating_add(12), &mut unused)?;
        let unused = u32::from_le_bytes(unused);
        let fields = vec![
            field("xattr_table_start", 8, Some(tables.pairs.start.to_string())),
            field("xattr_ids", 4, Some(tables.ids.records.to_string())),
            field("unused", 4, Some(unused.to_string())),
        ];
        account.region(record(tables.head, head_bytes, "head of extended attributes", fields))?;
        if unused != 0 {
            let message = format!("what is unused of the head is {unused}, expected 0");
            account.problem(problem(tables.head.saturating_add(12), message))?;
        }
        let outcome = self.tell_pairs(tables, sets, is_raw, account);
        goes_on(outcome, tables.pairs, account)
    }

    fn tell_pairs(
        &self,
        tables: &XattrTables,
        mut sets: Vec<Set>,
        is_raw: bool,
        account: &mut dyn Account,
    ) -> Result<()> {
        sets.sort_by_key(|set| (set.position, set.index));
        let mut tape = Tape::new(self, account, tables.pairs, is_raw);
        for set in sets {
            let here = if tape.has_more()? { tape.reference() } else { u64::MAX };
            if set.position != here {
                return Err(corrupt(format!(
                    "the set of extended attributes {} does not begin where another one ends",
                    set.index
                )));
            }
            let mut size = 0;
            for index in 0..set.count {
                tape.begin(format!("extended attribute {index} of set {}", set.index))?;
                size += self.tell_pair(tables, &mut tape)?;
                tape.end()?;
            }
            if size != set.size {
                let (index, stored) = (set.index, set.size);
                tape.problem(format!(
                    "the set of extended attributes {index} has {size} bytes, expected {stored}"
                ))?;
            }
        }
        tape.finish()
    }

    /// Tells a name and its value, and returns their length.
    fn tell_pair(&self, tables: &XattrTables, tape: &mut Tape<'_>) -> Result<u64> {
        let kind = tape.number("type", 2, Show::Hex)?;
        let name_bytes = tape.number("size", 2, Show::Number)?;
        let mut name = vec![0; super::super::in_memory(name_bytes)];
        tape.field("name", &mut name, Show::Name)?;
        let length = tape.number("vsize", 4, Show::Number)?;
        if kind & u64::from(XATTR_ELSEWHERE) == 0 {
            if length > VALUE_MAX_BYTES as u64 {
                return Err(corrupt(format!(
                    "bad length of an extended attribute's value: expected at most \
                     {VALUE_MAX_BYTES}, got {length}"
                )));
            }
            tape.pass("value", length, Show::Content)?;
            return Ok(8 + name_bytes + length);
        }
        if length != u64::from(REFERENCE_BYTES) {
            return Err(corrupt(format!(
                "bad length of a reference to an extended attribute's value: expected 8, got \
                 {length}"
            )));
        }
        let reference = tape.number("value_reference", 8, Show::Hex)?;
        // It leads to a length that can be one, or reading it fails.
        let mut cursor = Cursor::of(tables.pairs, reference);
        let length = self.xattr_length(&mut cursor)?;
        cursor.skip(self, length as u64)?;
        Ok(8 + name_bytes + u64::from(REFERENCE_BYTES))
    }
}
