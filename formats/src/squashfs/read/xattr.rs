//! Extended attributes.

use zerocopy::little_endian::{U32, U64};

use super::inode::limit;
use super::metadata::Cursor;
use super::open::XattrTables;
use super::{Reader, corrupt, in_memory};
use crate::content::{Buffer, Secret};
use crate::error::{Error, ErrorKind, Result};
use crate::squashfs::format::{XATTR_ELSEWHERE, XATTR_PREFIXES, XattrId, XattrName};
use crate::tree::Xattrs;
use crate::xattrs::{NAME_MAX_BYTES, VALUE_MAX_BYTES};

/// Length of a reference to a value elsewhere.
pub(super) const REFERENCE_BYTES: u32 = 8;

impl Reader {
    /// The set of attributes of this index; empty where the image has no table, as Linux has it.
    pub(super) fn xattrs_of(&self, index: u32) -> Result<Xattrs> {
        let Some(tables) = &self.layout.xattrs else { return Ok(Xattrs::new()) };
        if u64::from(index) >= tables.ids.records {
            let count = tables.ids.records;
            return Err(corrupt(format!(
                "bad set of extended attributes: expected less than {count}, got {index}"
            )));
        }
        let set: XattrId = self.table_record(&tables.ids, index.into())?;
        let mut cursor = Cursor::of(tables.pairs, set.position.get());
        let mut xattrs = Xattrs::new();
        let mut left = self.limits.xattr_bytes;
        for _ in 0..set.count.get() {
            let (name, is_elsewhere) = self.xattr_name(&mut cursor)?;
            let value = self.xattr_value(tables, &mut cursor, is_elsewhere)?;
            let length = (name.len() + value.len()) as u64;
            left = left.checked_sub(length).ok_or_else(|| {
                let most = self.limits.xattr_bytes;
                limit(format!("the extended attributes of an inode take more than {most} bytes"))
            })?;
            if xattrs.insert(name, value).is_some() {
                return Err(corrupt("an extended attribute is there twice"));
            }
        }
        Ok(xattrs)
    }

    /// The full name of the attribute at `cursor`, and whether its value is elsewhere.
    pub(super) fn xattr_name(&self, cursor: &mut Cursor) -> Result<(Box<[u8]>, bool)> {
        let head: XattrName = cursor.record(self)?;
        let kind = head.kind.get();
        let (number, is_elsewhere) = (kind & !XATTR_ELSEWHERE, kind & XATTR_ELSEWHERE != 0);
        let prefix = XATTR_PREFIXES.iter().find(|(_, known)| *known == number);
        let Some((prefix, _)) = prefix else {
            let message = format!("unknown prefix {number} of an extended attribute");
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let (length, most) = (usize::from(head.length.get()), NAME_MAX_BYTES - prefix.len());
        if !(1..=most).contains(&length) {
            return Err(corrupt(format!(
                "bad length of an extended attribute's name: expected 1 to {most}, got {length}"
            )));
        }
        let mut rest = vec![0; length];
        cursor.read(self, &mut rest)?;
        if rest.contains(&0) {
            return Err(corrupt("an extended attribute's name holds a NUL byte"));
        }
        Ok(([*prefix, &rest].concat().into(), is_elsewhere))
    }

    /// The value at `cursor`, or where that leads.
    fn xattr_value(
        &self,
        tables: &XattrTables,
        cursor: &mut Cursor,
        is_elsewhere: bool,
    ) -> Result<Secret> {
        if !is_elsewhere {
            return self.xattr_bytes(cursor);
        }
        let reference = self.xattr_reference(cursor)?;
        // What is there has no flag that could lead on.
        self.xattr_bytes(&mut Cursor::of(tables.pairs, reference))
    }

    /// Where the value at `cursor`, which is elsewhere, has its length.
    pub(super) fn xattr_reference(&self, cursor: &mut Cursor) -> Result<u64> {
        let length = cursor.record::<U32>(self)?.get();
        if length != REFERENCE_BYTES {
            return Err(corrupt(format!(
                "bad length of a reference to an extended attribute's value: expected 8, got \
                 {length}"
            )));
        }
        Ok(cursor.record::<U64>(self)?.get())
    }

    fn xattr_bytes(&self, cursor: &mut Cursor) -> Result<Secret> {
        let length = self.xattr_length(cursor)?;
        let mut value = Buffer::zeroed(length);
        cursor.read(self, &mut value)?;
        Ok(value.into_secret(length))
    }

    /// The length of the value behind `cursor`.
    pub(super) fn xattr_length(&self, cursor: &mut Cursor) -> Result<usize> {
        let length = in_memory(cursor.record::<U32>(self)?.get().into());
        if length > VALUE_MAX_BYTES {
            return Err(corrupt(format!(
                "bad length of an extended attribute's value: expected at most {VALUE_MAX_BYTES}, \
                 got {length}"
            )));
        }
        Ok(length)
    }
}
