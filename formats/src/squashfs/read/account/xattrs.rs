//! Extended attributes: the sets, and the names and values that they are made of.

use std::collections::BTreeMap;

use super::super::metadata::Cursor;
use super::super::open::XattrTables;
use super::super::xattr::REFERENCE_BYTES;
use super::super::{Reader, corrupt, in_memory};
use super::{Show, Tape, field, goes_on, problem, record};
use crate::error::Result;
use crate::read::Account;
use crate::squashfs::format::{XATTR_ELSEWHERE, XATTR_PREFIXES, XattrTable, flags};
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
            let message = format!(
                "what is unused of the head of extended attributes is {unused}, expected 0"
            );
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
        let mut references = self.references(tables, &sets)?;
        let mut tape = Tape::new(self, account, tables.pairs, is_raw);
        for set in sets {
            tell_values(&mut tape, &mut references, Some(&set))?;
            self.tell_set(tables, &set, &mut references, &mut tape)?;
        }
        tell_values(&mut tape, &mut references, None)?;
        if references.values().any(|is_value| !is_value) {
            tape.problem(
                "an extended attribute's value is elsewhere: no value begins at that place",
            )?;
        }
        tape.finish()
    }

    /// Where the values begin that are elsewhere: none of them is known to be one so far.
    fn references(&self, tables: &XattrTables, sets: &[Set]) -> Result<BTreeMap<u64, bool>> {
        let mut references = BTreeMap::new();
        for set in sets {
            let mut cursor = Cursor::of(tables.pairs, set.position);
            for _ in 0..set.count {
                let (_, is_elsewhere) = self.xattr_name(&mut cursor)?;
                if is_elsewhere {
                    references.insert(self.xattr_reference(&mut cursor)?, false);
                } else {
                    let length = self.xattr_length(&mut cursor)?;
                    cursor.skip(self, length as u64)?;
                }
            }
        }
        Ok(references)
    }

    fn tell_set(
        &self,
        tables: &XattrTables,
        set: &Set,
        references: &mut BTreeMap<u64, bool>,
        tape: &mut Tape<'_>,
    ) -> Result<()> {
        let Set { index, count, .. } = set;
        let (mut stored_bytes, mut shown_bytes) = (0, 0);
        for number in 0..*count {
            tape.begin(format!("extended attribute {number} of set {index}"))?;
            let pair = self.tell_pair(tables, references, tape)?;
            tape.end()?;
            stored_bytes += pair.stored_bytes;
            shown_bytes += pair.shown_bytes;
        }
        // Of mksquashfs it is what Linux would list and read.
        if ![stored_bytes, shown_bytes].contains(&set.size) {
            let size = set.size;
            tape.problem(format!(
                "the set of extended attributes {index} has {stored_bytes} bytes, expected {size}"
            ))?;
        }
        Ok(())
    }

    fn tell_pair(
        &self,
        tables: &XattrTables,
        references: &mut BTreeMap<u64, bool>,
        tape: &mut Tape<'_>,
    ) -> Result<Pair> {
        let kind = tape.number("type", 2, Show::Hex)?;
        let name_bytes = tape.number("size", 2, Show::Number)?;
        let mut name = vec![0; in_memory(name_bytes)];
        tape.field("name", &mut name, Show::Name)?;
        let is_elsewhere = kind & u64::from(XATTR_ELSEWHERE) != 0;
        let prefix = XATTR_PREFIXES.iter().find(|(_, known)| kind & 0xff == u64::from(*known));
        let prefix_bytes = prefix.map_or(0, |(prefix, _)| prefix.len() as u64);
        let name_shown = prefix_bytes + name_bytes + 1;
        if !is_elsewhere {
            let length = tell_value(tape, references)?;
            return Ok(Pair {
                stored_bytes: 8 + name_bytes + length,
                shown_bytes: name_shown + length,
            });
        }
        tape.number("vsize", 4, Show::Number)?;
        let reference = tape.number("value_reference", 8, Show::Hex)?;
        let length = self.xattr_length(&mut Cursor::of(tables.pairs, reference))? as u64;
        Ok(Pair {
            stored_bytes: 8 + name_bytes + u64::from(REFERENCE_BYTES),
            shown_bytes: name_shown + length,
        })
    }
}

/// How much an attribute takes in the image, and of a program that reads it: its name with a
/// NUL, and its value.
struct Pair {
    stored_bytes: u64,
    shown_bytes: u64,
}

/// Tells the values before a set, or at the end, that are those of attributes elsewhere.
fn tell_values(
    tape: &mut Tape<'_>,
    references: &mut BTreeMap<u64, bool>,
    set: Option<&Set>,
) -> Result<()> {
    while tape.has_more()? {
        let here = tape.reference();
        if set.is_some_and(|set| set.position == here) {
            return Ok(());
        }
        if !references.contains_key(&here) {
            break;
        }
        tape.begin("value of extended attributes".to_owned())?;
        tell_value(tape, references)?;
        tape.end()?;
    }
    match set {
        Some(set) => Err(corrupt(format!(
            "the set of extended attributes {} does not begin where another one ends",
            set.index
        ))),
        None => Ok(()),
    }
}

/// Tells a value behind its length, which it returns.
fn tell_value(tape: &mut Tape<'_>, references: &mut BTreeMap<u64, bool>) -> Result<u64> {
    tape.has_more()?;
    if let Some(is_value) = references.get_mut(&tape.reference()) {
        *is_value = true;
    }
    let length = tape.number("vsize", 4, Show::Number)?;
    if length > VALUE_MAX_BYTES as u64 {
        return Err(corrupt(format!(
            "bad length of an extended attribute's value: expected at most {VALUE_MAX_BYTES}, got \
             {length}"
        )));
    }
    tape.pass("value", length, Show::Content)?;
    Ok(length)
}
