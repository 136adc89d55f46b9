//! Finds the tree of an image. Nothing says where it is, so it follows from sizes: that of the
//! file, or that of the file system in it.

use zerocopy::FromBytes;

use super::format::{
    BLOCK_MAX_BYTES, SALT_BEFORE, SALT_BEHIND, SIGNATURE, SUPER_BLOCK_BYTES, SuperBlock, VERSION,
};
use super::hash::Hasher;
use super::layout::{ALIGN_BYTES, Layout};
use super::options::{Algorithm, Options, is_block_size};
use crate::error::{Result, unreadable, unsupported};
use crate::probe;
use crate::read::{Storage, start};

/// Sizes of blocks, the most usual first.
const BLOCK_SIZES: [u32; 4] = [4096, 2048, 1024, 512];

/// The superblock of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What the tree was made with.
    pub options: Options,
    /// Size of the data. The superblock begins there; dm-verity's tools call it the hash offset.
    pub data_bytes: u64,
    /// Where the tree ends.
    pub end_bytes: u64,
    /// Whether the salt comes behind a block, as in Chromium OS.
    pub(super) is_salt_behind: bool,
}

impl Found {
    /// Levels of the tree.
    pub(super) fn layout(&self) -> Option<Layout> {
        Layout::new(&self.options, self.data_bytes)
    }

    /// Whether the salt is hashed behind a block, as in Chromium OS. [`Writer`](super::Writer)
    /// hashes it before the block.
    pub fn has_salt_behind(&self) -> bool {
        self.is_salt_behind
    }

    /// The hasher that this tree was made with.
    pub(super) fn hasher(&self) -> Hasher {
        let Options { salt, algorithm, .. } = &self.options;
        if self.is_salt_behind {
            Hasher::with_salt_behind(*algorithm, salt)
        } else {
            Hasher::with_salt_before(*algorithm, salt)
        }
    }
}

/// Looks for the tree of the image in `storage`: right behind the file system, or where a tree
/// would be that ends with the storage. None where there is none. A superblock that is not read
/// here, such as one of another hash, is [`ErrorKind::Unsupported`]; a failing read is
/// [`ErrorKind::Source`].
///
/// What is found may be wrong in everything: nothing is checked against the data but its size.
///
/// [`ErrorKind::Source`]: crate::ErrorKind::Source
/// [`ErrorKind::Unsupported`]: crate::ErrorKind::Unsupported
pub fn find(storage: &dyn Storage) -> Result<Option<Found>> {
    let size_bytes = storage.size_bytes().map_err(unreadable)?;
    // A superblock within the file system is content, whatever it looks like.
    let extent_bytes = probe::extent_bytes(&mut start(storage))?.unwrap_or(0);
    let mut places: Vec<u64> = Vec::new();
    for align in [SUPER_BLOCK_BYTES, ALIGN_BYTES] {
        places.extend(extent_bytes.checked_next_multiple_of(align).filter(|place| *place > 0));
    }
    places.extend(places_before_end(size_bytes));
    for (index, place) in places.iter().enumerate() {
        let is_possible = *place >= extent_bytes && *place < size_bytes;
        let is_new = places.iter().position(|other| other == place) == Some(index);
        if is_possible
            && is_new
            && let Some(found) = superblock_at(storage, *place)?
            && found.end_bytes <= size_bytes
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// All places that the superblock may have in a file of this size that ends with a tree: one for
/// each shape of tree.
fn places_before_end(size_bytes: u64) -> Vec<u64> {
    let mut places = Vec::new();
    for algorithm in Algorithm::ALL {
        for hash_block_bytes in BLOCK_SIZES {
            for data_block_bytes in BLOCK_SIZES {
                let options =
                    Options { data_block_bytes, hash_block_bytes, algorithm, ..Options::default() };
                places.extend(place_before_end(&options, size_bytes));
            }
        }
    }
    places
}

/// The size of data and tree grows with the data, so a binary search finds the largest data that
/// fits.
fn place_before_end(options: &Options, size_bytes: u64) -> Option<u64> {
    let end_bytes = |pieces: u64| {
        let data_bytes = pieces.checked_mul(ALIGN_BYTES)?;
        Layout::new(options, data_bytes).map(|layout| layout.end_bytes)
    };
    let fits = |pieces: u64| end_bytes(pieces).is_some_and(|end_bytes| end_bytes <= size_bytes);
    let (mut fitting, mut too_many) = (0, size_bytes / ALIGN_BYTES + 1);
    while too_many - fitting > 1 {
        let middle = fitting + (too_many - fitting) / 2;
        if fits(middle) {
            fitting = middle;
        } else {
            too_many = middle;
        }
    }
    let rest_bytes = size_bytes - end_bytes(fitting)?;
    (rest_bytes < ALIGN_BYTES).then_some(fitting * ALIGN_BYTES)
}

/// Reads the superblock behind `data_bytes` of data; none where there is none, or one of other
/// data.
fn superblock_at(storage: &dyn Storage, data_bytes: u64) -> Result<Option<Found>> {
    let mut bytes = [0; size_of::<SuperBlock>()];
    let got = storage.read_at(data_bytes, &mut bytes).map_err(unreadable)?;
    let record = SuperBlock::read_from_bytes(bytes.get(..got).unwrap_or_default()).ok();
    let Some(record) = record.filter(|record| record.signature == SIGNATURE) else {
        return Ok(None);
    };
    let (data_block_bytes, hash_block_bytes) =
        (record.data_block_bytes.get(), record.hash_block_bytes.get());
    let told_bytes = record.data_blocks.get().checked_mul(data_block_bytes.into());
    if told_bytes != Some(data_bytes) {
        return Ok(None);
    }
    let version = record.version.get();
    if version != VERSION {
        return Err(unsupported(format!("expected version 1 of dm-verity, got {version}")));
    }
    let is_salt_behind = match record.hash_type.get() {
        SALT_BEFORE => false,
        SALT_BEHIND => true,
        other => {
            return Err(unsupported(format!("the hash type {other} of dm-verity is not known")));
        }
    };
    for bytes in [data_block_bytes, hash_block_bytes] {
        if !is_block_size(bytes) {
            let message = format!(
                "expected blocks of dm-verity of up to {BLOCK_MAX_BYTES} bytes, got {bytes}"
            );
            return Err(unsupported(message));
        }
    }
    let salt = record.salt.get(..record.salt_bytes.get().into());
    let salt = salt.ok_or_else(|| unsupported("the salt of dm-verity is too long"))?.to_vec();
    let algorithm = algorithm(&record.algorithm)?;
    let options =
        Options { salt, uuid: record.uuid, data_block_bytes, hash_block_bytes, algorithm };
    let layout = Layout::new(&options, data_bytes);
    Ok(layout.map(|Layout { end_bytes, .. }| Found {
        options,
        data_bytes,
        end_bytes,
        is_salt_behind,
    }))
}

/// The hash with this name, in upper or lower case, as veritysetup takes it.
fn algorithm(field: &[u8]) -> Result<Algorithm> {
    let name = field.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_named = |algorithm: &Algorithm| algorithm.name().as_bytes().eq_ignore_ascii_case(name);
    Algorithm::ALL.into_iter().find(is_named).ok_or_else(|| {
        unsupported(format!("the hash {} of dm-verity is not supported", name.escape_ascii()))
    })
}
