//! Extended attributes, inline and shared, with short and long prefixes (`fs/erofs/xattr.c`).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};

use super::inode::{Inode, Layout};
use super::{Reader, corrupt, unsupported};
use crate::content::{Buffer, Secret};
use crate::erofs::format::{
    COMPAT_PLAIN_PREFIXES, INCOMPAT_FRAGMENTS, LONG_PREFIX, XATTR_INDEX_MAX, XATTR_PREFIXES,
    XattrEntry, XattrHeader,
};
use crate::error::{Error, ErrorKind, Result};
use crate::read::InodeRef;
use crate::tree::{NAME_MAX_BYTES, Xattrs};

/// Entries and shared ids are counted in this unit.
const UNIT_BYTES: u64 = 4;
/// What an entry counts as work, besides its bytes.
const ENTRY_WORK_BYTES: u64 = 64;

/// The long prefixes of names.
#[derive(Default)]
pub(super) struct Prefixes {
    items: Vec<Prefix>,
    /// They are where this reader gets at nothing.
    is_hidden: bool,
}

/// A long prefix.
pub(super) struct Prefix {
    /// Where its record begins in what holds it.
    pub(super) offset_bytes: u64,
    /// The number of the short prefix that it begins with.
    pub(super) base: u8,
    /// What follows the short one.
    pub(super) infix: Vec<u8>,
}

impl Prefixes {
    /// Reads them (`erofs_xattr_prefixes_init`): each is a length of 2 bytes, the short prefix's
    /// number and the rest, and begins at a multiple of 4.
    pub(super) fn read(reader: &Reader) -> Result<Self> {
        let record = &reader.volume.record;
        let is_plain = reader.volume.feature_compat() & COMPAT_PLAIN_PREFIXES != 0;
        let has_packed = reader.volume.feature_incompat() & INCOMPAT_FRAGMENTS != 0;
        let packed = match record.packed_nid.get() {
            nid if nid > 0 && has_packed && !is_plain && record.xattr_prefix_count > 0 => {
                Some(reader.inode(InodeRef(nid))?)
            }
            _ => None,
        };
        if packed.as_ref().is_some_and(|inode| matches!(inode.layout, Layout::Compressed)) {
            return Ok(Self { items: Vec::new(), is_hidden: true });
        }
        let read = |offset_bytes: u64, into: &mut [u8]| match &packed {
            Some(inode) => inode.read_metadata(reader, offset_bytes, into),
            None => reader.metadata.read(offset_bytes, into),
        };
        let mut items = Vec::new();
        let mut offset_bytes = u64::from(record.xattr_prefix_start.get()) * UNIT_BYTES;
        for number in 0..record.xattr_prefix_count {
            let mut length = U16::ZERO;
            read(offset_bytes, length.as_mut_bytes())?;
            let length = usize::from(length.get());
            if !(1..=1 + NAME_MAX_BYTES).contains(&length) {
                let message = format!(
                    "prefix {number} of names of extended attributes is {length} bytes long: expected 1 to 256"
                );
                return Err(corrupt(message));
            }
            let mut item = vec![0; length];
            read(offset_bytes + 2, &mut item)?;
            let base = item.remove(0);
            items.push(Prefix { offset_bytes, base, infix: item });
            offset_bytes = (offset_bytes + 2 + length as u64).next_multiple_of(UNIT_BYTES);
        }
        Ok(Self { items, is_hidden: false })
    }

    pub(super) fn items(&self) -> &[Prefix] {
        &self.items
    }

    /// What a name begins with; none where Linux does not show it.
    fn name(&self, index: u8) -> Result<Option<(&'static [u8], &[u8])>> {
        let (base, infix): (u8, &[u8]) = if index & LONG_PREFIX == 0 {
            (index, b"")
        } else if self.is_hidden {
            return Err(unsupported(
                "the image has prefixes of names of extended attributes in compressed data, which is not read",
            ));
        } else {
            let number = index & !LONG_PREFIX;
            let item = self.items.get(usize::from(number)).ok_or_else(|| {
                let known = self.items.len();
                corrupt(format!("an extended attribute has prefix {number} of {known}"))
            })?;
            (item.base, &item.infix)
        };
        if base > XATTR_INDEX_MAX {
            let message = format!("an extended attribute's name has index {base}: expected 1 to 6");
            return Err(corrupt(message));
        }
        let found = XATTR_PREFIXES.iter().find(|(_, number)| *number == base);
        Ok(found.map(|(prefix, _)| (*prefix, infix)))
    }
}

/// All attributes that Linux shows. Of two with one name the first is taken, as Linux does.
pub(super) fn read(reader: &Reader, inode: &Inode) -> Result<Xattrs> {
    let mut xattrs = Xattrs::new();
    let mut left_bytes = reader.xattr_max_bytes;
    each(reader, inode, &mut |attribute| {
        let Some(name) = attribute.name(&reader.prefixes, inode)? else { return Ok(()) };
        let (_, value) = attribute.split(inode)?;
        let length_bytes = (name.len() + value.len()) as u64;
        left_bytes = left_bytes.checked_sub(length_bytes).ok_or_else(|| {
            let most = reader.xattr_max_bytes;
            let message =
                format!("inode {} has more than {most} bytes of extended attributes", inode.nid);
            Error::new(ErrorKind::Limit, message)
        })?;
        xattrs.entry(name.into()).or_insert_with(|| Secret::from(value));
        Ok(())
    })?;
    Ok(xattrs)
}

/// An attribute as it is stored.
pub(super) struct Attribute<'a> {
    /// Where its entry begins in the image.
    pub(super) offset_bytes: u64,
    /// Its number in the shared ones; none for an inline one.
    pub(super) shared: Option<u32>,
    pub(super) entry: &'a XattrEntry,
    /// Name and value.
    bytes: &'a [u8],
}

impl Attribute<'_> {
    /// The whole name; none where Linux does not show it.
    pub(super) fn name(&self, prefixes: &Prefixes, inode: &Inode) -> Result<Option<Vec<u8>>> {
        let Some((prefix, infix)) = prefixes.name(self.entry.name_index)? else { return Ok(None) };
        let (name, _) = self.split(inode)?;
        let name = [prefix, infix, name].concat();
        if name.contains(&0) {
            return Err(fault(inode, "an extended attribute's name holds a NUL"));
        }
        Ok(Some(name))
    }

    /// Name, without its prefix, and value.
    pub(super) fn split(&self, inode: &Inode) -> Result<(&[u8], &[u8])> {
        let name_length = usize::from(self.entry.name_length);
        self.bytes
            .split_at_checked(name_length)
            .ok_or_else(|| fault(inode, "an extended attribute is cut off"))
    }
}

/// Length of name and value of an attribute.
fn rest_bytes(entry: &XattrEntry) -> usize {
    usize::from(entry.name_length) + usize::from(entry.value_size.get())
}

/// The numbers of an inode's shared attributes, and its header; none without attributes.
pub(super) fn header(reader: &Reader, inode: &Inode) -> Result<Option<(XattrHeader, Vec<u32>)>> {
    let header_bytes = size_of::<XattrHeader>() as u64;
    if inode.xattr_bytes == 0 {
        return Ok(None);
    }
    if inode.xattr_bytes == header_bytes {
        let message = format!("inode {} has a header of extended attributes and none", inode.nid);
        return Err(unsupported(message));
    }
    let place = inode.offset_bytes.saturating_add(inode.record_bytes);
    let header: XattrHeader = reader.metadata.record(place)?;
    let shared_bytes = u64::from(header.shared_count) * UNIT_BYTES;
    if header_bytes + shared_bytes > inode.xattr_bytes {
        let count = header.shared_count;
        let what = format!("{count} shared extended attributes, which do not fit");
        return Err(fault(inode, &what));
    }
    let mut ids = vec![U32::ZERO; usize::from(header.shared_count)];
    reader.metadata.read(place.saturating_add(header_bytes), ids.as_mut_bytes())?;
    Ok(Some((header, ids.into_iter().map(U32::get).collect())))
}

/// Gives an inode's attributes: the inline ones, then the shared ones.
pub(super) fn each(
    reader: &Reader,
    inode: &Inode,
    each: &mut dyn FnMut(Attribute<'_>) -> Result<()>,
) -> Result<()> {
    let Some((_, shared)) = header(reader, inode)? else { return Ok(()) };
    let skip_bytes = size_of::<XattrHeader>() as u64 + shared.len() as u64 * UNIT_BYTES;
    let start_bytes = inode.offset_bytes.saturating_add(inode.record_bytes + skip_bytes);
    let length = usize::try_from(inode.xattr_bytes - skip_bytes).unwrap_or(0);
    let mut bytes = Buffer::zeroed(length);
    reader.metadata.read(start_bytes, &mut bytes)?;
    let mut at = 0;
    while let Some((entry, rest)) = entry_at(&bytes, at) {
        reader.metadata.charge(ENTRY_WORK_BYTES)?;
        let cut_off = || fault(inode, "an extended attribute goes on behind the others");
        let attribute = rest.get(..rest_bytes(entry)).ok_or_else(cut_off)?;
        let length = (size_of::<XattrEntry>() + attribute.len()).next_multiple_of(4);
        if at + length > bytes.len() {
            return Err(cut_off());
        }
        let offset_bytes = start_bytes.saturating_add(at as u64);
        each(Attribute { offset_bytes, shared: None, entry, bytes: attribute })?;
        at += length;
    }
    for id in shared {
        let offset_bytes = reader
            .volume
            .block_offset(reader.volume.record.xattr_block.get())
            .saturating_add(u64::from(id) * UNIT_BYTES);
        let entry: XattrEntry = reader.metadata.record(offset_bytes)?;
        let mut bytes = Buffer::zeroed(rest_bytes(&entry));
        let place = offset_bytes.saturating_add(size_of::<XattrEntry>() as u64);
        reader.metadata.read(place, &mut bytes)?;
        each(Attribute { offset_bytes, shared: Some(id), entry: &entry, bytes: &bytes })?;
    }
    Ok(())
}

/// The entry at a byte and what follows it; none at the end.
fn entry_at(bytes: &[u8], at: usize) -> Option<(&XattrEntry, &[u8])> {
    XattrEntry::ref_from_prefix(bytes.get(at..)?).ok()
}

fn fault(inode: &Inode, what: &str) -> Error {
    corrupt(format!("inode {}: {what}", inode.nid))
}
