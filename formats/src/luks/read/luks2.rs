//! The header of LUKS2: the newer of two copies, and its JSON, checked.

use std::io::{Read, Seek};

use argon2::Algorithm;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};
use zerocopy::{FromBytes, IntoBytes};

use super::{
    Derivation, Digest, Header, Payload, Recipe, Slot, check_area, check_stripes, corrupt, cut_off,
    detached, key_length, read_at, unsupported,
};
use crate::error::{Error, ErrorKind, Result};
use crate::luks::format::{
    CHECKSUM_HASH, CIPHER, Digest as JsonDigest, HEADER_BYTES, Json, KeyDerivation, Keyslot, Luks2,
    MAGIC, MAGIC_SECONDARY, STRIPES, Segment, text_of,
};
use crate::luks::kdf::Hash;
use crate::luks::version::Version;

/// Most key slots (LUKS2 3.2).
const SLOTS_MAX: usize = 32;
/// Length of the volume key's digest in LUKS1.
const LUKS1_DIGEST_BYTES: usize = 20;

/// One intact copy.
struct Copy {
    record: Luks2,
    json: Vec<u8>,
}

/// Reads the newer copy of the header that is intact (LUKS2 2.2).
pub(super) fn header<R: Read + Seek>(image: &mut R) -> Result<Header> {
    let (copy, is_whole) = match read_copy(image, 0, MAGIC) {
        Ok(primary) => {
            let secondary =
                read_copy(image, primary.record.header_bytes.get(), MAGIC_SECONDARY).ok();
            let is_alike = |secondary: &Copy| {
                secondary.record.sequence == primary.record.sequence
                    && secondary.json == primary.json
            };
            let is_whole = secondary.as_ref().is_some_and(is_alike);
            let newer =
                |secondary: &Copy| secondary.record.sequence.get() > primary.record.sequence.get();
            (secondary.filter(newer).unwrap_or(primary), is_whole)
        }
        // Where the second one is depends on the length that the first one has.
        Err(error) if error.kind() != ErrorKind::Source => {
            let copies = HEADER_BYTES.iter().map(|at| read_copy(image, *at, MAGIC_SECONDARY));
            (copies.flatten().next().ok_or(error)?, false)
        }
        Err(error) => return Err(error),
    };
    Ok(Header { is_whole, ..understand(&copy)? })
}

fn read_copy<R: Read + Seek>(image: &mut R, offset_bytes: u64, magic: [u8; 6]) -> Result<Copy> {
    let record = read_at(image, offset_bytes, size_of::<Luks2>())?;
    if !record.starts_with(&magic) {
        return Err(corrupt("not a LUKS volume: there is no header"));
    }
    let record = Luks2::read_from_bytes(&record).map_err(|_| cut_off())?;
    if record.version.get() != 2 {
        return Err(corrupt("the header's copies have different versions"));
    }
    let length = record.header_bytes.get();
    if !HEADER_BYTES.contains(&length) {
        return Err(corrupt(format!("the length of a LUKS2 header cannot be {length} bytes")));
    }
    if record.offset_bytes.get() != offset_bytes {
        let found = record.offset_bytes.get();
        return Err(corrupt(format!("the header at {offset_bytes} is the one of {found}")));
    }
    let checksum_hash = text_of(&record.checksum_hash);
    if checksum_hash != CHECKSUM_HASH {
        return Err(unsupported("header checksum", &checksum_hash));
    }
    let json_bytes = usize::try_from(length).unwrap_or_default() - size_of::<Luks2>();
    let json = read_at(image, offset_bytes + size_of::<Luks2>() as u64, json_bytes)?;
    if json.len() < json_bytes {
        return Err(cut_off());
    }
    let blank = Luks2 { checksum: [0; 64], ..record };
    let sum = Sha256::new().chain_update(blank.as_bytes()).chain_update(&json).finalize();
    if !record.checksum.starts_with(&sum) {
        return Err(corrupt("the checksum of the header is wrong"));
    }
    Ok(Copy { record, json })
}

fn understand(copy: &Copy) -> Result<Header> {
    let text = copy.json.split(|byte| *byte == 0).next().unwrap_or_default();
    // The error's own text may quote.
    let json: Json = serde_json::from_slice(text).map_err(|error| {
        corrupt(format!("the header's JSON is not as expected, at byte {}", error.column()))
    })?;
    if let Some(feature) = json.config.requirements.iter().flat_map(|all| &all.mandatory).next() {
        return Err(unsupported("feature", feature));
    }
    if json.config.json_size != copy.json.len() as u64 || json.keyslots.len() > SLOTS_MAX {
        return Err(corrupt("the header's JSON has a wrong length or too many key slots"));
    }
    let mut segments = json.segments.iter();
    let (Some((segment_name, segment)), None) = (segments.next(), segments.next()) else {
        let message = format!("expected one segment, got {}", json.segments.len());
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    let headers_bytes = 2 * copy.record.header_bytes.get();
    let payload = payload(segment, headers_bytes)?;
    let mut digests = json.digests.values();
    let of_segment = digests.find(|digest| digest.segments.contains(segment_name));
    let of_segment = of_segment.ok_or_else(|| corrupt("the segment has no digest"))?;
    let digest = digest(of_segment)?;
    let mut key_bytes = None;
    let mut slots = Vec::new();
    for (name, keyslot) in &json.keyslots {
        // Others hold keys of something else.
        if of_segment.keyslots.contains(name) {
            let index =
                name.parse().map_err(|_| corrupt("the name of a key slot is not a number"))?;
            // All hold the same key.
            let expected = *key_bytes.get_or_insert(keyslot.key_size);
            let areas = (headers_bytes, payload.offset_bytes);
            slots.push(slot(index, keyslot, expected, areas)?);
        }
    }
    slots.sort_by_key(|slot: &Slot| slot.index);
    Ok(Header {
        version: Version::Luks2,
        is_whole: true,
        label: text_of(&copy.record.label),
        uuid: text_of(&copy.record.uuid),
        hash: digest.hash,
        key_bytes: key_length(key_bytes.unwrap_or(64))?,
        payload,
        slots,
        digest,
    })
}

fn payload(segment: &Segment, headers_bytes: u64) -> Result<Payload> {
    if segment.kind != "crypt" {
        return Err(unsupported("segment type", &segment.kind));
    }
    if segment.integrity.is_some() {
        return Err(Error::new(ErrorKind::Unsupported, "integrity protection is not supported"));
    }
    if let Some(flag) = segment.flags.first() {
        return Err(unsupported("segment flag", flag));
    }
    if segment.encryption != CIPHER {
        return Err(unsupported("cipher", &segment.encryption));
    }
    let sector_bytes = match segment.sector_size {
        512 => 512,
        1024 => 1024,
        2048 => 2048,
        4096 => 4096,
        other => {
            return Err(corrupt(format!(
                "expected sectors of 512, 1024, 2048 or 4096 bytes, got {other}"
            )));
        }
    };
    let offset_bytes = segment.offset;
    if offset_bytes < headers_bytes {
        return Err(detached());
    }
    if !offset_bytes.is_multiple_of(sector_bytes as u64) {
        return Err(corrupt(format!("the payload begins inside a sector, at byte {offset_bytes}")));
    }
    let length_bytes = match segment.size.as_str() {
        "dynamic" => None,
        size => Some(size.parse().map_err(|_| corrupt("the payload's size is not a number"))?),
    };
    Ok(Payload { offset_bytes, length_bytes, sector_bytes, first_sector: segment.iv_tweak })
}

fn digest(json: &JsonDigest) -> Result<Digest> {
    if json.kind != "pbkdf2" {
        return Err(unsupported("digest", &json.kind));
    }
    let hash = Hash::named(&json.hash)?;
    let value = decode(&json.value)?;
    // A volume that was LUKS1 once keeps the length that digests have there.
    if !(LUKS1_DIGEST_BYTES..=hash.bytes()).contains(&value.len()) || json.iterations == 0 {
        return Err(corrupt("the digest of the volume key has a wrong length or no iterations"));
    }
    Ok(Digest { hash, salt: decode(&json.salt)?, iterations: json.iterations, value })
}

/// `areas`: the length of the headers, the start of the payload.
fn slot(index: usize, json: &Keyslot, key_bytes: u64, areas: (u64, u64)) -> Result<Slot> {
    if json.key_size != key_bytes {
        return Err(corrupt(format!("key slot {index} has a key of another length")));
    }
    let derivation = json.kdf.as_ref().map(derivation).transpose();
    let (kdf, recipe) = match derivation {
        Ok(Some((derivation, salt))) => {
            (derivation.describe(), recipe(json, derivation, salt, areas))
        }
        Ok(None) => ("none".to_owned(), Err(unsupported("key slot type", &json.kind))),
        Err(error) => ("not supported".to_owned(), Err(error)),
    };
    Ok(Slot { index, kdf, recipe })
}

fn derivation(json: &KeyDerivation) -> Result<(Derivation, Vec<u8>)> {
    let argon2 = |algorithm, (passes, memory_kib, lanes): (&u32, &u32, &u32)| Derivation::Argon2 {
        algorithm,
        passes: *passes,
        memory_kib: *memory_kib,
        lanes: *lanes,
    };
    let (derivation, salt) = match json {
        KeyDerivation::Pbkdf2 { iterations: 0, .. } => {
            return Err(corrupt("its key derivation has no iterations"));
        }
        KeyDerivation::Pbkdf2 { hash, iterations, salt } => {
            (Derivation::Pbkdf2 { hash: Hash::named(hash)?, iterations: *iterations }, salt)
        }
        KeyDerivation::Argon2i { time, memory, cpus, salt } => {
            (argon2(Algorithm::Argon2i, (time, memory, cpus)), salt)
        }
        KeyDerivation::Argon2id { time, memory, cpus, salt } => {
            (argon2(Algorithm::Argon2id, (time, memory, cpus)), salt)
        }
    };
    Ok((derivation, decode(salt)?))
}

fn recipe(
    json: &Keyslot,
    derivation: Derivation,
    salt: Vec<u8>,
    (headers_bytes, payload_offset_bytes): (u64, u64),
) -> Result<Recipe> {
    let (area, Some(af)) = (&json.area, &json.af) else {
        return Err(unsupported("key slot type", &json.kind));
    };
    let kinds = [("luks2", &json.kind), ("raw", &area.kind), ("luks1", &af.kind)];
    if let Some((_, kind)) = kinds.iter().find(|(expected, kind)| expected != kind) {
        return Err(unsupported("key slot type", kind));
    }
    if area.encryption != CIPHER {
        return Err(unsupported("cipher", &area.encryption));
    }
    check_stripes(af.stripes)?;
    key_length(json.key_size)?;
    check_area((area.offset, area.size), headers_bytes, payload_offset_bytes)?;
    let need_bytes = u64::from(STRIPES) * json.key_size;
    if area.size < need_bytes {
        let got = area.size;
        return Err(corrupt(format!("expected {need_bytes} bytes of key material, got {got}")));
    }
    Ok(Recipe {
        derivation,
        salt,
        hash: Hash::named(&af.hash)?,
        area_offset_bytes: area.offset,
        area_key_bytes: key_length(area.key_size)?,
    })
}

fn decode(base64: &str) -> Result<Vec<u8>> {
    BASE64.decode(base64).map_err(|_| corrupt("a salt or digest is not base64"))
}
