//! Records field by field.

use super::super::metadata::Metadata;
use crate::content::Buffer;
use crate::error::Result;
use crate::hex::hex_text;
use crate::read::{Field, Problem};
use crate::uuid_text;

/// How a field is shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// A number.
    Number,
    /// A number below 0 where its highest bit is set.
    Signed,
    /// A number in hexadecimal digits.
    Hex,
    /// A number in octal digits.
    Octal,
    /// A UUID.
    Uuid,
    /// Bytes of text.
    Text,
    /// What has to be zero.
    Zero,
}

/// A record as it is put together.
pub(super) struct Record {
    pub(super) offset_bytes: u64,
    pub(super) title: String,
    pub(super) fields: Vec<Field>,
    pub(super) notes: Vec<String>,
    pub(super) problems: Vec<Problem>,
    length_bytes: u64,
    wants_text: bool,
}

impl Record {
    pub(super) fn new(offset_bytes: u64, title: String) -> Self {
        let (fields, notes, problems) = (Vec::new(), Vec::new(), Vec::new());
        Self { offset_bytes, title, fields, notes, problems, length_bytes: 0, wants_text: true }
    }

    /// Leaves the values of fields out where nobody reads them: of the many inodes and entries,
    /// making them takes longer than all else.
    pub(super) fn with_text(mut self, wants_text: bool) -> Self {
        self.wants_text = wants_text;
        self
    }

    /// Adds fields, whose bytes are those that follow in the image.
    pub(super) fn read(
        &mut self,
        metadata: &Metadata,
        columns: &[(&'static str, u8, Column)],
    ) -> Result<()> {
        let mut bytes =
            Buffer::zeroed(columns.iter().map(|(_, length, _)| usize::from(*length)).sum());
        metadata.read(self.end_bytes(), &mut bytes)?;
        let mut rest = &*bytes;
        for (name, length, column) in columns {
            let (field, behind) = rest.split_at_checked(usize::from(*length)).unwrap_or_default();
            self.add(name, field, *column);
            rest = behind;
        }
        Ok(())
    }

    /// Adds a field.
    pub(super) fn add(&mut self, name: &'static str, bytes: &[u8], column: Column) {
        let is_zero = bytes.iter().all(|byte| *byte == 0);
        self.push(name, bytes.len() as u64, self.wants_text.then(|| shown(bytes, column)));
        if matches!(column, Column::Zero) && !is_zero {
            self.fault(name, "expected zeros, got something else");
        }
    }

    /// Adds a field whose bytes are content.
    pub(super) fn add_content(&mut self, name: &'static str, length_bytes: u64) {
        self.push(name, length_bytes, None);
    }

    fn push(&mut self, name: &'static str, length_bytes: u64, value: Option<String>) {
        if length_bytes > 0 {
            self.fields.push(Field { length_bytes, name, value });
            self.length_bytes = self.length_bytes.saturating_add(length_bytes);
        }
    }

    /// Where the next field begins.
    pub(super) fn end_bytes(&self) -> u64 {
        self.offset_bytes.saturating_add(self.length_bytes)
    }

    /// Notes what is wrong with the last field of this name.
    pub(super) fn fault(&mut self, name: &str, what: &str) {
        let mut end_bytes = self.end_bytes();
        let mut place = None;
        for field in self.fields.iter().rev() {
            end_bytes = end_bytes.saturating_sub(field.length_bytes);
            if field.name == name {
                place = Some(end_bytes);
                break;
            }
        }
        let message = format!("{}, {name}: {what}", self.title);
        self.problems.push(Problem { offset_bytes: place, message });
    }
}

fn shown(bytes: &[u8], column: Column) -> String {
    let number = bytes.iter().take(8).rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    match column {
        Column::Number => number.to_string(),
        Column::Signed => number.cast_signed().to_string(),
        Column::Hex => format!("{number:#x}"),
        Column::Octal => format!("{number:o}"),
        Column::Uuid => <[u8; 16]>::try_from(bytes).map_or_else(|_| String::new(), uuid_text),
        Column::Text => {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.get(..end).unwrap_or_default().escape_ascii().to_string()
        }
        Column::Zero if bytes.iter().all(|byte| *byte == 0) => "0".to_owned(),
        Column::Zero => hex_text(bytes),
    }
}
