//! The header of LUKS1, checked.

use super::{
    Derivation, Digest, Header, Payload, Recipe, Slot, check_area, check_stripes, corrupt,
    detached, key_length, unsupported,
};
use crate::error::Result;
use crate::luks::format::{
    CIPHER, Luks1, Luks1Slot, SECTOR_BYTES, SLOT_ACTIVE, SLOT_INACTIVE, STRIPES, text_of,
};
use crate::luks::kdf::Hash;
use crate::luks::version::Version;

pub(super) fn header(record: &Luks1) -> Result<Header> {
    let cipher = format!("{}-{}", text_of(&record.cipher_name), text_of(&record.cipher_mode));
    if cipher != CIPHER {
        return Err(unsupported("cipher", &cipher));
    }
    let hash = Hash::named(&text_of(&record.hash))?;
    let key_bytes = key_length(u64::from(record.key_bytes.get()))?;
    if record.payload_sector.get() == 0 {
        return Err(detached());
    }
    let offset_bytes = u64::from(record.payload_sector.get()) * SECTOR_BYTES;
    let sector_bytes = 512;
    let payload = Payload { offset_bytes, length_bytes: None, sector_bytes, first_sector: 0 };
    let digest = Digest {
        hash,
        salt: record.digest_salt.to_vec(),
        iterations: record.digest_iterations.get(),
        value: record.digest.to_vec(),
    };
    if digest.iterations == 0 {
        return Err(corrupt("the digest of the volume key has no iterations"));
    }
    let mut slots = Vec::new();
    for (index, of_slot) in record.slots.iter().enumerate() {
        match of_slot.state.get() {
            SLOT_INACTIVE => {}
            SLOT_ACTIVE => {
                let iterations = of_slot.iterations.get();
                let derivation = Derivation::Pbkdf2 { hash, iterations };
                let recipe = recipe(of_slot, derivation, hash, key_bytes, offset_bytes);
                slots.push(Slot { index, kdf: derivation.describe(), recipe });
            }
            other => return Err(corrupt(format!("key slot {index} is in state {other:#x}"))),
        }
    }
    let (version, label) = (Version::Luks1, String::new());
    let uuid = text_of(&record.uuid);
    Ok(Header { version, label, uuid, hash, key_bytes, payload, slots, digest, is_whole: true })
}

fn recipe(
    slot: &Luks1Slot,
    derivation: Derivation,
    hash: Hash,
    key_bytes: usize,
    payload_offset_bytes: u64,
) -> Result<Recipe> {
    check_stripes(u64::from(slot.stripes.get()))?;
    if slot.iterations.get() == 0 {
        return Err(corrupt("its key derivation has no iterations"));
    }
    let area_offset_bytes = u64::from(slot.material_sector.get()) * SECTOR_BYTES;
    let area = (area_offset_bytes, u64::from(STRIPES) * key_bytes as u64);
    check_area(area, size_of::<Luks1>() as u64, payload_offset_bytes)?;
    let (salt, area_key_bytes) = (slot.salt.to_vec(), key_bytes);
    Ok(Recipe { derivation, salt, hash, area_offset_bytes, area_key_bytes })
}
