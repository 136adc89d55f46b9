//! The xattr table: names and values, each set of them stored once, and long
//! values that several inodes have (such as labels and ACLs) stored once, too.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::format::{
    METADATA_BYTES, XATTR_ELSEWHERE, XATTR_PREFIXES, XattrId, XattrName, XattrTable,
};
use super::metadata::{Position, Stream, block_list, lookup_blocks};
use crate::compress::Packer;
use crate::error::{Error, ErrorKind, Result, inconsistent};
use crate::tree::{Kind, Xattrs};
use crate::xattrs::{Rules, VALUE_MAX_BYTES};

/// A reference to a value elsewhere takes this much in its place.
const REFERENCE_BYTES: usize = 8;

/// What an inode can have: of all sets together [`Table`] knows the limit.
const RULES: Rules = Rules {
    has_name: |name| split(name).is_ok(),
    names: NAMES,
    value_max_bytes: VALUE_MAX_BYTES,
    value_too_long: "an extended attribute's value is too long for SquashFS",
    size_bytes: |_, _| 0,
    total_max_bytes: usize::MAX,
    total_too_long: "its extended attributes are too long for SquashFS",
};
const NAMES: &str =
    "SquashFS holds extended attributes named user.*, trusted.* and security.* only";

/// The names of an inode's attributes that the format cannot hold, or Linux not read from it,
/// each with the reason.
pub fn xattr_faults<'x>(kind: &Kind, xattrs: &'x Xattrs) -> Vec<(&'x [u8], &'static str)> {
    RULES.faults(kind, xattrs)
}

/// Refuses attributes that the format cannot hold or Linux not read, or would hide.
pub(super) fn check(kind: &Kind, xattrs: &Xattrs) -> Result<()> {
    RULES.check(kind, xattrs)
}

/// The table as it grows, inode by inode.
#[derive(Default)]
pub(super) struct Table {
    pairs: Stream,
    pairs_bytes: u64,
    ids: Vec<XattrId>,
    /// Index of each set of attributes, by its digest.
    sets: BTreeMap<[u8; 32], u32>,
    /// Where each long value stands, by its digest.
    values: BTreeMap<[u8; 32], Position>,
}

impl Table {
    /// The index of `xattrs` in the table; none where there are none.
    pub(super) fn add(&mut self, xattrs: &Xattrs, packer: &mut Packer) -> Result<Option<u32>> {
        if xattrs.is_empty() {
            return Ok(None);
        }
        let digest = set_digest(xattrs);
        if let Some(index) = self.sets.get(&digest) {
            return Ok(Some(*index));
        }
        let index = u32::try_from(self.ids.len()).map_err(|_| too_large())?;
        let position = self.pairs.position();
        let before_bytes = self.pairs_bytes;
        for (name, value) in xattrs {
            self.pair(name, value.expose(), packer)?;
        }
        self.ids.push(XattrId {
            position: U64::new(position.reference()),
            count: U32::new(u32::try_from(xattrs.len()).map_err(|_| too_large())?),
            size: U32::new(
                u32::try_from(self.pairs_bytes - before_bytes).map_err(|_| too_large())?,
            ),
        });
        self.sets.insert(digest, index);
        Ok(Some(index))
    }

    /// The whole table as it is stored from `start` of the image on, and where in
    /// the image its head is; none where no inode has attributes.
    pub(super) fn finish(self, start: u64, packer: &mut Packer) -> Result<Option<(Vec<u8>, u64)>> {
        if self.ids.is_empty() {
            return Ok(None);
        }
        let mut table = self.pairs.finish(packer).concat();
        let ids = lookup_blocks(self.ids.as_bytes().chunks(METADATA_BYTES), packer);
        let (list, list_start) = block_list(&ids, start + table.len() as u64);
        let head = XattrTable {
            start: U64::new(start),
            ids: U32::new(u32::try_from(self.ids.len()).map_err(|_| too_large())?),
            reserved: U32::ZERO,
        };
        table.extend(ids.concat());
        // The head stands between the blocks and the list of their places.
        table.extend_from_slice(head.as_bytes());
        table.extend(list);
        Ok(Some((table, list_start)))
    }

    fn pair(&mut self, name: &[u8], value: &[u8], packer: &mut Packer) -> Result<()> {
        let (prefix, suffix) = split(name)?;
        let digest: [u8; 32] = Sha256::digest(value).into();
        let is_long = value.len() > REFERENCE_BYTES;
        let elsewhere = self.values.get(&digest).copied().filter(|_| is_long);
        let kind = if elsewhere.is_some() { prefix | XATTR_ELSEWHERE } else { prefix };
        let length = U16::new(u16::try_from(suffix.len()).map_err(|_| inconsistent())?);
        let head = XattrName { kind: U16::new(kind), length };
        self.append(head.as_bytes(), packer)?;
        self.append(suffix, packer)?;
        let position = self.pairs.position();
        if let Some(elsewhere) = elsewhere {
            return self.value(&elsewhere.reference().to_le_bytes(), packer);
        }
        if is_long {
            self.values.insert(digest, position);
        }
        self.value(value, packer)
    }

    fn value(&mut self, bytes: &[u8], packer: &mut Packer) -> Result<()> {
        let length = u32::try_from(bytes.len()).map_err(|_| inconsistent())?;
        self.append(&length.to_le_bytes(), packer)?;
        self.append(bytes, packer)
    }

    fn append(&mut self, bytes: &[u8], packer: &mut Packer) -> Result<()> {
        self.pairs_bytes += bytes.len() as u64;
        // Positions in the stored stream have 32 bits here; with the headers it
        // is a little longer than what goes in.
        if self.pairs_bytes > u64::from(u32::MAX) - (4 << 20) {
            return Err(too_large());
        }
        self.pairs.append(bytes, packer);
        Ok(())
    }
}

fn set_digest(xattrs: &Xattrs) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (name, value) in xattrs {
        for bytes in [name, value.expose()] {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        }
    }
    digest.finalize().into()
}

/// The prefix's number and the rest of the name.
fn split(name: &[u8]) -> Result<(u16, &[u8])> {
    for (prefix, number) in XATTR_PREFIXES {
        match name.strip_prefix(prefix) {
            Some(rest) if !rest.is_empty() => return Ok((number, rest)),
            _ => {}
        }
    }
    Err(unrepresentable(NAMES))
}

fn unrepresentable(message: &str) -> Error {
    Error::new(ErrorKind::Unrepresentable, message)
}

fn too_large() -> Error {
    Error::new(ErrorKind::Limit, "the extended attributes take 4 GiB or more")
}
