//! On-disk records of LUKS1 ("LUKS1 On-Disk Format Specification", 1.2.3) and of
//! LUKS2 ("LUKS2 On-Disk Format Specification", 1.1.x), clauses as cited.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    big_endian::{U16, U32, U64},
};

/// First bytes of a header (LUKS1 3, LUKS2 2.1).
pub const MAGIC: [u8; 6] = *b"LUKS\xba\xbe";
/// First bytes of the second copy of a LUKS2 header (LUKS2 2.1).
pub const MAGIC_SECONDARY: [u8; 6] = *b"SKUL\xba\xbe";

/// What sector numbers and the offsets of LUKS1 count, whatever a volume's sector size is.
pub const SECTOR_BYTES: u64 = 512;
/// Key slots of a LUKS1 header (LUKS1 3, `LUKS_NUMKEYS`).
pub const LUKS1_SLOTS: usize = 8;
/// Stripes of every key slot: what cryptsetup writes, and all that QEMU reads.
pub const STRIPES: u32 = 4000;
/// `LUKS_KEY_ENABLED` and `LUKS_KEY_DISABLED` (LUKS1 3.1).
pub const SLOT_ACTIVE: u32 = 0x00ac_71f3;
/// See [`SLOT_ACTIVE`].
pub const SLOT_INACTIVE: u32 = 0x0000_dead;

/// The key slots of both versions begin at multiples of this (LUKS1 1, `LUKS_ALIGN_KEYSLOTS`;
/// LUKS2 1.1).
pub const ALIGN_BYTES: u64 = 4096;

/// Cipher of all volumes written here, and of the key slots.
pub const CIPHER: &str = "aes-xts-plain64";

/// The header of LUKS1 (LUKS1 3, "phdr").
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct Luks1 {
    /// [`MAGIC`].
    pub magic: [u8; 6],
    /// 1.
    pub version: U16,
    /// Padded with NUL, as all text is: `aes`.
    pub cipher_name: [u8; 32],
    /// `xts-plain64`.
    pub cipher_mode: [u8; 32],
    /// Hash of the key derivation and of the stripes.
    pub hash: [u8; 32],
    /// Where the ciphertext begins, in sectors; 0 where it is on another device.
    pub payload_sector: U32,
    /// Length of the volume key.
    pub key_bytes: U32,
    /// PBKDF2 of the volume key.
    pub digest: [u8; 20],
    /// Salt of the digest.
    pub digest_salt: [u8; 32],
    /// Iterations of the digest.
    pub digest_iterations: U32,
    /// In text form.
    pub uuid: [u8; 40],
    /// The key slots.
    pub slots: [Luks1Slot; LUKS1_SLOTS],
}

/// A key slot of LUKS1 (LUKS1 3.1).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct Luks1Slot {
    /// [`SLOT_ACTIVE`] or [`SLOT_INACTIVE`].
    pub state: U32,
    /// Iterations of PBKDF2; 0 in an inactive slot.
    pub iterations: U32,
    /// Salt of PBKDF2.
    pub salt: [u8; 32],
    /// Where the key material begins, in sectors.
    pub material_sector: U32,
    /// Stripes of the anti-forensic splitter.
    pub stripes: U32,
}

/// The binary header of LUKS2, both copies (LUKS2 2.1).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct Luks2 {
    /// [`MAGIC`] or [`MAGIC_SECONDARY`].
    pub magic: [u8; 6],
    /// 2.
    pub version: U16,
    /// Length of this record and the JSON area.
    pub header_bytes: U64,
    /// The copy with the larger one is the newer one.
    pub sequence: U64,
    /// Padded with NUL.
    pub label: [u8; 48],
    /// Algorithm of `checksum`.
    pub checksum_hash: [u8; 32],
    /// Makes the copies differ.
    pub salt: [u8; 64],
    /// In text form.
    pub uuid: [u8; 40],
    /// A second label.
    pub subsystem: [u8; 48],
    /// Where this very copy is.
    pub offset_bytes: U64,
    /// Zero.
    pub padding: [u8; 184],
    /// Of this record, with this field zero, and of the JSON area.
    pub checksum: [u8; 64],
    /// Zero.
    pub padding_to_4096: [u8; 3584],
}

const _: () = assert!(size_of::<Luks1Slot>() == 48);
const _: () = assert!(size_of::<Luks1>() == 592);
const _: () = assert!(size_of::<Luks2>() == 4096);
const _: () = assert!(std::mem::offset_of!(Luks2, offset_bytes) == 256);
const _: () = assert!(std::mem::offset_of!(Luks2, checksum) == 448);

/// The only checksum of a LUKS2 header that is written or read.
pub(super) const CHECKSUM_HASH: &str = "sha256";
/// Lengths that a LUKS2 header may have, and so where its second copy may be (LUKS2 2, table 1).
pub(crate) const HEADER_BYTES: [u64; 9] =
    [0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000];

/// The JSON area of a LUKS2 header (LUKS2 3). Numbers of 64 bits are text in it.
#[derive(Serialize, Deserialize)]
pub(super) struct Json {
    pub(super) keyslots: BTreeMap<String, Keyslot>,
    /// Of no use here.
    #[serde(skip_deserializing)]
    pub(super) tokens: BTreeMap<String, String>,
    pub(super) segments: BTreeMap<String, Segment>,
    pub(super) digests: BTreeMap<String, Digest>,
    pub(super) config: Config,
}

/// A key slot (LUKS2 3.2). What only some types have is an `Option`.
#[derive(Serialize, Deserialize)]
pub(super) struct Keyslot {
    /// `luks2`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Of the key that the slot holds, in bytes.
    pub(super) key_size: u64,
    pub(super) af: Option<AntiForensic>,
    pub(super) area: Area,
    pub(super) kdf: Option<KeyDerivation>,
}

/// The anti-forensic splitter (LUKS2 3.2.1).
#[derive(Serialize, Deserialize)]
pub(super) struct AntiForensic {
    /// `luks1`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) stripes: u64,
    pub(super) hash: String,
}

/// Where the key material is and how it is encrypted (LUKS2 3.2.2).
#[derive(Serialize, Deserialize)]
pub(super) struct Area {
    /// `raw`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(with = "text_number")]
    pub(super) offset: u64,
    #[serde(with = "text_number")]
    pub(super) size: u64,
    /// Missing in areas that hold no key.
    #[serde(default)]
    pub(super) encryption: String,
    #[serde(default)]
    pub(super) key_size: u64,
}

/// PBKDF (LUKS2 3.2.3).
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum KeyDerivation {
    Pbkdf2 {
        hash: String,
        iterations: u32,
        /// Base64, as all salts are.
        salt: String,
    },
    Argon2i {
        time: u32,
        /// In KiB.
        memory: u32,
        cpus: u32,
        salt: String,
    },
    Argon2id {
        time: u32,
        memory: u32,
        cpus: u32,
        salt: String,
    },
}

/// A part of the payload (LUKS2 3.3).
#[derive(Serialize, Deserialize)]
pub(super) struct Segment {
    /// `crypt`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(with = "text_number")]
    pub(super) offset: u64,
    /// Bytes, or `dynamic`: up to the device's end.
    pub(super) size: String,
    #[serde(default, with = "text_number")]
    pub(super) iv_tweak: u64,
    #[serde(default)]
    pub(super) encryption: String,
    #[serde(default)]
    pub(super) sector_size: u64,
    /// Only there with authenticated encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) integrity: Option<Ignored>,
    /// Such as those of a reencryption.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) flags: Vec<String>,
}

/// Tells whether a key is the volume key (LUKS2 3.4).
#[derive(Serialize, Deserialize)]
pub(super) struct Digest {
    /// `pbkdf2`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) keyslots: Vec<String>,
    pub(super) segments: Vec<String>,
    #[serde(default)]
    pub(super) hash: String,
    #[serde(default)]
    pub(super) iterations: u32,
    #[serde(default)]
    pub(super) salt: String,
    #[serde(default, rename = "digest")]
    pub(super) value: String,
}

/// Of the header as a whole (LUKS2 3.5).
#[derive(Serialize, Deserialize)]
pub(super) struct Config {
    #[serde(with = "text_number")]
    pub(super) json_size: u64,
    #[serde(with = "text_number")]
    pub(super) keyslots_size: u64,
    /// What a reader must know to read the volume at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) requirements: Option<Requirements>,
}

/// Features that a reader may not ignore (LUKS2 3.5.1).
#[derive(Serialize, Deserialize)]
pub(super) struct Requirements {
    #[serde(default)]
    pub(super) mandatory: Vec<String>,
}

/// A member whose value does not matter.
#[derive(Serialize, Deserialize)]
#[serde(from = "serde::de::IgnoredAny")]
pub(super) struct Ignored {}

impl From<serde::de::IgnoredAny> for Ignored {
    fn from(_: serde::de::IgnoredAny) -> Self {
        Self {}
    }
}

/// A number of 64 bits as decimal text (LUKS2 3).
mod text_number {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|_| Error::custom("a field is not a number"))
    }
}

/// `text` padded with NUL; what does not fit is cut off, so a caller has checked it.
pub(super) fn text_field<const BYTES: usize>(text: &str) -> [u8; BYTES] {
    let mut field = [0; BYTES];
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    field
}

/// The text of such a field. What is no UTF-8 in it is shown as replaced.
pub(crate) fn text_of(field: &[u8]) -> String {
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
