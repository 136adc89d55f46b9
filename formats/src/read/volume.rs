//! Whether what is around an encrypted image is valid, as far as that can be told without a key.

use zerocopy::FromBytes;

use super::regions::{Problems, Regions};
use super::{RegionKind, Storage, hash_tree};
use crate::content::Buffer;
use crate::error::{ErrorKind, Result, unreadable};
use crate::luks::format::{LUKS1_SLOTS, Luks1, MAGIC, SECTOR_BYTES, STRIPES};

/// What is looked through at once.
const PIECE_BYTES: u64 = 64 << 10;
/// Among this many random bytes at the start of a sector one is not zero.
const RANDOM_BYTES: usize = 32;

/// Verifies the encrypted volume in `storage` without opening it: its headers, that nothing
/// overlaps, and that what is unused is zero, or was wiped at random. LUKS1 has no checksum:
/// damage to a salt or to key material shows when a key is tried. Errors are as of
/// [`verify`](super::verify).
pub fn verify_volume(storage: &dyn Storage) -> Result<Problems> {
    let size_bytes = storage.size_bytes().map_err(unreadable)?;
    let mut regions = Regions::new(size_bytes, false);
    let data = hash_tree::data(storage)?;
    let told = crate::luks::account(&*data, &mut regions);
    match told.and_then(|()| hash_tree::account(storage, &mut regions)) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            regions.problems.nowhere(error.to_string());
            return Ok(regions.finish().1);
        }
        Err(error) => return Err(error),
    }
    let (regions, mut problems) = regions.finish();
    let record = luks1(storage)?;
    let slots = record.as_ref().map_or_else(Vec::new, slots);
    if let Some(record) = &record {
        texts(record, &mut problems);
    }
    let mut end = 0;
    for region in regions {
        let start = region.offset_bytes;
        if start < end {
            problems.at(start, format!("{} overlaps what is before it", region.title));
        }
        if region.kind != RegionKind::Padding {
            unused(storage, (end, start), &slots, &mut problems)?;
            end = start.saturating_add(region.length_bytes).max(end);
        }
    }
    if end > size_bytes {
        let message = format!("expected {end} bytes or more, got {size_bytes}: it is cut off");
        problems.nowhere(message);
    }
    unused(storage, (end, size_bytes), &slots, &mut problems)?;
    Ok(problems)
}

/// The header of LUKS1; none of LUKS2.
fn luks1(storage: &dyn Storage) -> Result<Option<Luks1>> {
    let mut record = [0; size_of::<Luks1>()];
    storage.read_exact_at(0, &mut record)?;
    let record = Luks1::read_from_bytes(&record).ok();
    Ok(record.filter(|record| record.magic == MAGIC && record.version.get() == 1))
}

/// Where the areas of all key slots of LUKS1 begin and end: those of unused ones were perhaps
/// wiped. LUKS2 knows used ones alone.
fn slots(record: &Luks1) -> Vec<u64> {
    let mut bounds = Vec::with_capacity(2 * LUKS1_SLOTS);
    for slot in &record.slots {
        let start = u64::from(slot.material_sector.get()) * SECTOR_BYTES;
        let length_bytes = u64::from(STRIPES) * u64::from(record.key_bytes.get());
        bounds.extend([start, start.saturating_add(length_bytes)]);
    }
    bounds.sort_unstable();
    bounds
}

/// Text of LUKS1 is padded with NUL (LUKS1 3), which no checksum guards.
fn texts(record: &Luks1, problems: &mut Problems) {
    let texts: [(&str, &[u8]); 4] = [
        ("cipher-name", &record.cipher_name),
        ("cipher-mode", &record.cipher_mode),
        ("hash-spec", &record.hash),
        ("uuid", &record.uuid),
    ];
    for (name, bytes) in texts {
        if bytes.iter().skip_while(|byte| **byte != 0).any(|byte| *byte != 0) {
            problems.nowhere(format!("{name}: expected zeros behind the text"));
        }
    }
}

/// Looks at a stretch that nothing refers to, piece by piece between `bounds`.
fn unused(
    storage: &dyn Storage,
    (start, end): (u64, u64),
    bounds: &[u64],
    problems: &mut Problems,
) -> Result<()> {
    let inner = bounds.iter().copied().filter(|bound| (start..end).contains(bound));
    let mut from = start;
    for to in inner.chain([end]).filter(|to| *to > start) {
        let (first_other, has_zeros) = look(storage, (from, to))?;
        if let Some(place) = first_other.filter(|_| has_zeros) {
            problems.at(place, format!("expected zeros from byte {from} to {to}"));
        }
        from = to;
    }
    Ok(())
}

/// The first byte that is not zero, and whether anything is zero that random bytes would not be.
fn look(storage: &dyn Storage, (start, end): (u64, u64)) -> Result<(Option<u64>, bool)> {
    let (mut first_other, mut has_zeros) = (None, false);
    let mut at = start;
    while at < end {
        let length = PIECE_BYTES.min(end - at);
        let mut piece = Buffer::zeroed(usize::try_from(length).unwrap_or_default());
        storage.read_exact_at(at, &mut piece)?;
        for (index, sector) in piece.chunks(512).enumerate() {
            match sector.iter().position(|byte| *byte != 0) {
                None => has_zeros = true,
                Some(other) => {
                    first_other.get_or_insert(at + (index * 512 + other) as u64);
                    has_zeros |= other > RANDOM_BYTES;
                }
            }
        }
        at += length;
    }
    Ok((first_other, has_zeros))
}
