//! What each byte of a volume is, for a dump: the headers by their fields, key material and
//! ciphertext as content.

use std::io::{Seek, SeekFrom};

use zerocopy::FromBytes;

use super::{Header, corrupt, cut_off};
use crate::content::Buffer;
use crate::error::{Result, unreadable};
use crate::luks::format::{HEADER_BYTES, Luks1, Luks1Slot, Luks2, MAGIC, SLOT_ACTIVE, STRIPES};
use crate::luks::version::Version;
use crate::read::fields::{field, hex, record, text, whole, zeros};
use crate::read::{Account, Field, RegionKind, Storage, start};

/// Tells what each byte of the volume in `storage` is, without opening it. What its header is
/// refused for is an error, as of [`Header::read`].
pub fn account(storage: &dyn Storage, account: &mut dyn Account) -> Result<()> {
    let mut image = start(storage);
    let header = Header::read(&mut image)?;
    let size_bytes = image.seek(SeekFrom::End(0)).map_err(unreadable)?;
    match header.version {
        Version::Luks1 => luks1(storage, account)?,
        Version::Luks2 => luks2(storage, account)?,
    }
    if !header.is_whole {
        let message = "a copy of the header is damaged, or the two differ".to_owned();
        account.problem(crate::read::Problem { offset_bytes: None, message })?;
    }
    for slot in &header.slots {
        if let Ok(recipe) = &slot.recipe {
            let length = u64::from(STRIPES) * header.key_bytes as u64;
            let title = format!("key material of slot {}", slot.index);
            account.region(whole(recipe.area_offset_bytes, length, RegionKind::Content, title))?;
        }
    }
    let start = header.payload.offset_bytes;
    let length = header.payload.length_bytes.unwrap_or(size_bytes.saturating_sub(start));
    account.region(whole(start, length, RegionKind::Content, "ciphertext".to_owned()))
}

/// LUKS1 3 and 3.1.
fn luks1(storage: &dyn Storage, account: &mut dyn Account) -> Result<()> {
    let header: Luks1 = read(storage, 0)?;
    let fields = vec![
        hex(&header.magic, "magic"),
        field(2, "version", header.version.to_string()),
        text(&header.cipher_name, "cipher-name"),
        text(&header.cipher_mode, "cipher-mode"),
        text(&header.hash, "hash-spec"),
        field(4, "payload-offset", header.payload_sector.to_string()),
        field(4, "key-bytes", header.key_bytes.to_string()),
        hex(&header.digest, "mk-digest"),
        hex(&header.digest_salt, "mk-digest-salt"),
        field(4, "mk-digest-iter", header.digest_iterations.to_string()),
        text(&header.uuid, "uuid"),
    ];
    let region = record(0, "LUKS1 header".to_owned(), fields);
    let mut place = region.length_bytes;
    account.region(region)?;
    for (index, slot) in header.slots.iter().enumerate() {
        let is_active = slot.state.get() == SLOT_ACTIVE;
        let state = if is_active { "active" } else { "inactive" };
        let fields = vec![
            field(4, "active", format!("{:#010x} ({state})", slot.state.get())),
            field(4, "iterations", slot.iterations.to_string()),
            hex(&slot.salt, "salt"),
            field(4, "key-material-offset", slot.material_sector.to_string()),
            field(4, "stripes", slot.stripes.to_string()),
        ];
        account.region(record(place, format!("key slot {index}"), fields))?;
        place += size_of::<Luks1Slot>() as u64;
    }
    Ok(())
}

/// LUKS2 2.1, and the JSON area behind each copy of the binary header.
fn luks2(storage: &dyn Storage, account: &mut dyn Account) -> Result<()> {
    let first: Luks2 = read(storage, 0)?;
    let is_intact = first.magic == MAGIC && HEADER_BYTES.contains(&first.header_bytes.get());
    // Where the first copy is damaged, the second one is where it may be.
    let second = if is_intact {
        first.header_bytes.get()
    } else {
        let copies = HEADER_BYTES.into_iter();
        let mut found = copies.filter(|at| {
            read::<Luks2>(storage, *at).is_ok_and(|copy| copy.offset_bytes.get() == *at)
        });
        found.next().ok_or_else(|| corrupt("there is no second copy of the header"))?
    };
    for (place, name) in [(0, "first"), (second, "second")] {
        if place == 0 && !is_intact {
            continue;
        }
        let header: Luks2 = read(storage, place)?;
        account.region(record(place, format!("LUKS2 header, {name} copy"), fields(&header)))?;
        let json_start = place + size_of::<Luks2>() as u64;
        let json_bytes = second - size_of::<Luks2>() as u64;
        json(storage, account, (json_start, json_bytes), name)?;
    }
    Ok(())
}

fn fields(header: &Luks2) -> Vec<Field> {
    vec![
        hex(&header.magic, "magic"),
        field(2, "version", header.version.to_string()),
        field(8, "hdr_size", header.header_bytes.to_string()),
        field(8, "seqid", header.sequence.to_string()),
        text(&header.label, "label"),
        text(&header.checksum_hash, "csum_alg"),
        hex(&header.salt, "salt"),
        text(&header.uuid, "uuid"),
        text(&header.subsystem, "subsystem"),
        field(8, "hdr_offset", header.offset_bytes.to_string()),
        zeros(&header.padding, "_padding"),
        hex(&header.checksum, "csum"),
        zeros(&header.padding_to_4096, "_padding4096"),
    ]
}

/// The text of a JSON area, line by line, and the zeros behind it.
fn json(
    storage: &dyn Storage,
    account: &mut dyn Account,
    (start, length): (u64, u64),
    name: &str,
) -> Result<()> {
    // One of the lengths that headers have.
    let mut area = Buffer::zeroed(usize::try_from(length).map_err(|_| cut_off())?);
    storage.read_exact_at(start, &mut area)?;
    let text = area.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut region =
        whole(start, text.len() as u64, RegionKind::Record, format!("JSON, {name} copy"));
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(text)
        && let Ok(lines) = serde_json::to_string_pretty(&value)
    {
        region.notes = lines.lines().map(str::to_owned).collect();
    }
    account.region(region)?;
    let rest = (start + text.len() as u64, length - text.len() as u64);
    account.region(whole(rest.0, rest.1, RegionKind::Padding, "rest of the JSON area".to_owned()))
}

fn read<T: FromBytes>(storage: &dyn Storage, place: u64) -> Result<T> {
    let mut bytes = Buffer::zeroed(size_of::<T>());
    storage.read_exact_at(place, &mut bytes)?;
    T::read_from_bytes(&bytes).map_err(|_| cut_off())
}
