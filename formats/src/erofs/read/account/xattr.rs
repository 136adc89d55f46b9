//! Extended attributes: the header of an inode's, each entry, and those that are shared.

use std::collections::BTreeSet;

use zerocopy::little_endian::U32;

use super::super::inode::Inode;
use super::super::xattr::{Attribute, each, header};
use super::record::Column::{Hex, Number, Text, Zero};
use super::record::Record;
use super::{Accounting, ENTRY_WORK_BYTES};
use crate::content::Buffer;
use crate::erofs::format::{COMPAT_XATTR_FILTER, XattrEntry, XattrHeader};
use crate::error::Result;

impl Accounting<'_, '_> {
    /// Tells the attributes of an inode, and those that it shares where it is the first.
    pub(super) fn xattrs(&mut self, inode: &Inode) -> Result<()> {
        let reader = self.reader;
        let Some((_, shared)) = header(reader, inode)? else { return Ok(()) };
        let start_bytes = inode.offset_bytes.saturating_add(inode.record_bytes);
        let title = format!("extended attributes of inode {}", inode.nid);
        let mut record = Record::new(start_bytes, title);
        const {
            assert!(size_of::<XattrHeader>() == 12);
        }
        let columns =
            [("h_name_filter", 4, Hex), ("h_shared_count", 1, Number), ("h_reserved2", 7, Zero)];
        record.read(&reader.metadata, &columns)?;
        let features = reader.volume.record.feature_compat.get();
        let filter: U32 = reader.metadata.record(start_bytes)?;
        if features & COMPAT_XATTR_FILTER == 0 && filter.get() != 0 {
            record.fault("h_name_filter", "a filter, which the superblock does not tell of");
        }
        for _ in &shared {
            record.read(&reader.metadata, &[("h_shared_xattrs", 4, Number)])?;
        }
        let mut names = BTreeSet::new();
        let mut others = Vec::new();
        each(reader, inode, &mut |attribute| {
            reader.metadata.charge(ENTRY_WORK_BYTES)?;
            let name = attribute.name(&reader.prefixes, inode)?;
            let is_twice = name.is_some_and(|name| !names.insert(name));
            match attribute.shared {
                None => {
                    add(&mut record, &attribute, inode)?;
                    let rest = padding(record.end_bytes() - start_bytes);
                    let mut bytes = Buffer::zeroed(rest);
                    reader.metadata.read(record.end_bytes(), &mut bytes)?;
                    record.add("padding", &bytes, Zero);
                }
                Some(id) => {
                    if self.shared.insert(id) {
                        let title = format!("shared extended attribute {id}");
                        let mut other = Record::new(attribute.offset_bytes, title);
                        add(&mut other, &attribute, inode)?;
                        others.push(other);
                    }
                }
            }
            if is_twice {
                record.fault("h_shared_count", "two attributes of one name");
            }
            Ok(())
        })?;
        self.record(record)?;
        for other in others {
            let end_bytes = other.end_bytes();
            self.record(other)?;
            self.padding(end_bytes, padding(end_bytes) as u64)?;
        }
        Ok(())
    }
}

/// What fills up to a multiple of 4 bytes.
fn padding(length_bytes: u64) -> usize {
    usize::try_from(length_bytes.next_multiple_of(4) - length_bytes).unwrap_or(0)
}

/// Adds an entry. Names are of the image, values are content.
fn add(record: &mut Record, attribute: &Attribute<'_>, inode: &Inode) -> Result<()> {
    const { assert!(size_of::<XattrEntry>() == 4) };
    let (name, value) = attribute.split(inode)?;
    let entry = attribute.entry;
    record.add("e_name_len", &[entry.name_length], Number);
    record.add("e_name_index", &[entry.name_index], Number);
    record.add("e_value_size", &entry.value_size.get().to_le_bytes(), Number);
    record.add("e_name", name, Text);
    record.add_content("e_value", value.len() as u64);
    Ok(())
}
