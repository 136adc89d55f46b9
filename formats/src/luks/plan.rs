//! What a volume's header area holds and where its payload begins.

use std::str::FromStr;

use argon2::Algorithm;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};
use zerocopy::{FromZeros, IntoBytes};
use zeroize::Zeroizing;

use super::format::{
    ALIGN_BYTES, AntiForensic, Area, CHECKSUM_HASH, CIPHER, Config, Digest, Json, KeyDerivation,
    Keyslot, LUKS1_SLOTS, Luks1, Luks1Slot, Luks2, MAGIC, MAGIC_SECONDARY, SECTOR_BYTES,
    SLOT_ACTIVE, SLOT_INACTIVE, STRIPES, Segment, text_field,
};
use super::kdf::{self, Hash};
use super::stripes;
use super::version::{LUKS1_PAYLOAD_BYTES, LUKS2_PAYLOAD_BYTES, Version};
use super::write::Writer;
use super::xts::{VolumeKey, Xts};
use crate::content::{Secret, Sink};
use crate::error::{Error, ErrorKind, Result, inconsistent};
use crate::image::Image;
use crate::uuid_text;

/// How a passphrase becomes the key of the key slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kdf {
    /// PBKDF2 with SHA-256.
    Pbkdf2 {
        /// At least 1000. That is enough for a random key of 256 bits and never for what
        /// a person can remember.
        iterations: u32,
    },
    /// Argon2id; with LUKS2 only.
    Argon2id {
        /// At least 1.
        passes: u32,
        /// At least 8 for each lane, at most 1,114,112.
        memory_kib: u32,
        /// 1 to 4.
        lanes: u32,
    },
}

impl Kdf {
    /// What is enough for a passphrase of 256 random bits or more, which no cost could protect
    /// better, and never for what a person can remember: PBKDF2 with the 1000 iterations that
    /// cryptsetup demands at least.
    pub const FOR_RANDOM_KEY: Self = Self::Pbkdf2 { iterations: ITERATIONS_MIN };

    /// What makes each guess at a passphrase dear that a person can remember. With LUKS1 that
    /// is PBKDF2 with so many iterations that a try takes some tenths of a second, with LUKS2
    /// Argon2id at the second choice of RFC 9106, 4, which small guests have the memory for.
    pub fn for_passphrase(version: Version) -> Self {
        match version {
            Version::Luks1 => Self::Pbkdf2 { iterations: 1_000_000 },
            Version::Luks2 => Self::Argon2id { passes: 3, memory_kib: 64 << 10, lanes: 4 },
        }
    }
}

/// The label of a LUKS2 header: at most 47 bytes without NUL; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    /// Longest label in bytes.
    pub const MAX_BYTES: usize = size_of::<[u8; 48]>() - 1;

    /// Checks `label`; [`ErrorKind::Unrepresentable`] says what is wrong.
    pub fn new(label: &str) -> Result<Self> {
        let fault = if label.len() > Self::MAX_BYTES {
            let (length, max) = (label.len(), Self::MAX_BYTES);
            format!("the label is {length} bytes long, LUKS2 holds at most {max}")
        } else if label.contains('\0') {
            "the label holds a NUL byte".to_owned()
        } else {
            return Ok(Self(label.to_owned()));
        };
        Err(Error::new(ErrorKind::Unrepresentable, fault))
    }

    /// The label's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Label {
    type Error = Error;

    fn try_from(label: &str) -> Result<Self> {
        Self::new(label)
    }
}

impl FromStr for Label {
    type Err = Error;

    fn from_str(label: &str) -> Result<Self> {
        Self::new(label)
    }
}

/// What a volume is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options<'a> {
    /// The format.
    pub version: Version,
    /// May be empty, and must be with LUKS1.
    pub label: Label,
    /// Bytes in the order of the text form.
    pub uuid: [u8; 16],
    /// 512 or 4096; with LUKS1 512 only.
    pub sector_bytes: usize,
    /// What opens the volume, byte for byte; not empty.
    pub passphrase: &'a Secret,
    /// What the payload is encrypted with.
    pub volume_key: &'a VolumeKey,
    /// The key slot's key derivation.
    pub kdf: Kdf,
    /// [`RANDOM_BYTES`] random bytes, for this volume alone.
    pub random: &'a Secret,
}

impl<'a> Options<'a> {
    /// What has no default, each a secret of its own: `passphrase` opens the volume,
    /// `volume_key` encrypts the payload, and `random` is [`RANDOM_BYTES`] random bytes for
    /// this volume alone. No label, a UUID of zeros, sectors of 512 bytes, and the key
    /// derivation [for a passphrase](Kdf::for_passphrase) that a person can remember.
    pub fn new(
        version: Version,
        passphrase: &'a Secret,
        volume_key: &'a VolumeKey,
        random: &'a Secret,
    ) -> Self {
        let kdf = Kdf::for_passphrase(version);
        let (label, uuid, sector_bytes) = (Label::default(), [0; 16], 512);
        Self { version, label, uuid, sector_bytes, passphrase, volume_key, kdf, random }
    }

    /// With this label, which only LUKS2 has.
    #[must_use]
    pub fn label(self, label: Label) -> Self {
        Self { label, ..self }
    }

    /// With this UUID, bytes in the order of its text form.
    #[must_use]
    pub fn uuid(self, uuid: [u8; 16]) -> Self {
        Self { uuid, ..self }
    }

    /// With sectors of so many bytes: 512 or 4096; with LUKS1 512 only.
    #[must_use]
    pub fn sector_bytes(self, sector_bytes: usize) -> Self {
        Self { sector_bytes, ..self }
    }

    /// With this key derivation.
    #[must_use]
    pub fn kdf(self, kdf: Kdf) -> Self {
        Self { kdf, ..self }
    }
}

const SALT_BYTES: usize = 32;
const COPY_SALT_BYTES: usize = 64;
/// The key material of a slot: so many stripes, each as long as the volume key.
const MATERIAL_BYTES: usize = STRIPES as usize * VolumeKey::BYTES;
/// Where the next slot begins.
const AREA_BYTES: u64 = (MATERIAL_BYTES as u64).next_multiple_of(ALIGN_BYTES);
/// How many random bytes a volume takes: salts, and the seed of the stripes.
pub const RANDOM_BYTES: usize = 2 * SALT_BYTES + 2 * COPY_SALT_BYTES + VolumeKey::BYTES;

const _: () = assert!(ALIGN_BYTES + LUKS1_SLOTS as u64 * AREA_BYTES <= LUKS1_PAYLOAD_BYTES);
/// Length of one copy of a LUKS2 header, the least that there is.
const LUKS2_HEADER_BYTES: usize = 16 << 10;
const LUKS2_JSON_BYTES: usize = LUKS2_HEADER_BYTES - size_of::<Luks2>();

/// Fewest iterations of PBKDF2, and as many as the digests have: the volume key is
/// random (cryptsetup takes no fewer).
const ITERATIONS_MIN: u32 = 1000;

/// A volume whose header is made; writing fails only on I/O.
pub struct Plan<'k> {
    pub(super) volume_key: &'k VolumeKey,
    pub(super) sector_bytes: usize,
    pub(super) payload_offset_bytes: u64,
    /// The header and the key slot; zeros follow, up to the payload.
    pub(super) head: Vec<u8>,
}

impl<'k> Plan<'k> {
    /// Makes the header, which takes as long as the key derivation does. What the format
    /// cannot hold is [`ErrorKind::Unrepresentable`], a key derivation that is too cheap or
    /// too dear is [`ErrorKind::Limit`], an empty passphrase or too few or too many random
    /// bytes are [`ErrorKind::Key`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the plans of all formats are made like this"
    )]
    pub fn new(options: Options<'k>) -> Result<Self> {
        check(&options)?;
        let draw = Draw::of(options.random.expose())?;
        let head = match options.version {
            Version::Luks1 => luks1(&options, &draw)?,
            Version::Luks2 => luks2(&options, &draw)?,
        };
        let payload_offset_bytes = options.version.payload_offset_bytes();
        let Options { volume_key, sector_bytes, .. } = options;
        Ok(Self { volume_key, sector_bytes, payload_offset_bytes, head })
    }

    /// Where the payload begins in the image: 2 MiB with LUKS1, 1 MiB with LUKS2.
    pub fn payload_offset_bytes(&self) -> u64 {
        self.payload_offset_bytes
    }

    /// What is written to the returned adapter goes to `sink` encrypted, behind the header.
    /// Nothing is with `sink` before the first byte of the payload or the end.
    pub fn begin<'s>(&self, sink: &'s mut dyn Sink) -> Writer<'_, 's> {
        Writer::new(self, sink)
    }

    /// Writes the volume with `image` as its payload and returns its size in bytes.
    pub fn write(&self, image: &dyn Image, sink: &mut dyn Sink) -> Result<u64> {
        let mut writer = self.begin(sink);
        image.write(&mut writer)?;
        Ok(self.payload_offset_bytes + writer.finish()?)
    }
}

fn check(options: &Options<'_>) -> Result<()> {
    let refuse = |kind, message: &str| Err(Error::new(kind, message));
    let is_luks1 = options.version == Version::Luks1;
    if is_luks1 && !options.label.as_str().is_empty() {
        return refuse(ErrorKind::Unrepresentable, "LUKS1 has no label");
    }
    match options.sector_bytes {
        512 => {}
        4096 if !is_luks1 => {}
        other => {
            let version = if is_luks1 { "LUKS1" } else { "LUKS2" };
            let message = format!("{version} has no sectors of {other} bytes");
            return refuse(ErrorKind::Unrepresentable, &message);
        }
    }
    match options.kdf {
        Kdf::Pbkdf2 { iterations } if iterations < ITERATIONS_MIN => {
            let message = format!(
                "expected at least {ITERATIONS_MIN} iterations of pbkdf2, got {iterations}"
            );
            return refuse(ErrorKind::Limit, &message);
        }
        Kdf::Argon2id { .. } if is_luks1 => {
            return refuse(ErrorKind::Unrepresentable, "LUKS1 has no argon2id, only pbkdf2");
        }
        Kdf::Pbkdf2 { .. } | Kdf::Argon2id { .. } => {}
    }
    if options.passphrase.is_empty() {
        return refuse(ErrorKind::Key, "the passphrase is empty");
    }
    Ok(())
}

/// The random bytes, by their use.
struct Draw {
    slot_salt: [u8; SALT_BYTES],
    digest_salt: [u8; SALT_BYTES],
    copy_salts: [[u8; COPY_SALT_BYTES]; 2],
    /// The stripes are zeros encrypted with it: to ask a system for a quarter of a megabyte
    /// of random bytes takes as long as all the rest (measured).
    seed: Zeroizing<[u8; VolumeKey::BYTES]>,
}

impl Draw {
    fn of(random: &[u8]) -> Result<Self> {
        let wrong = || {
            let message = format!("expected {RANDOM_BYTES} random bytes, got {}", random.len());
            Error::new(ErrorKind::Key, message)
        };
        if random.len() != RANDOM_BYTES {
            return Err(wrong());
        }
        let split = || {
            let (slot_salt, rest) = random.split_first_chunk()?;
            let (digest_salt, rest) = rest.split_first_chunk()?;
            let (first, rest) = rest.split_first_chunk()?;
            let (second, rest) = rest.split_first_chunk()?;
            let copy_salts = [*first, *second];
            let seed = Zeroizing::new(*rest.first_chunk()?);
            Some(Self { slot_salt: *slot_salt, digest_salt: *digest_salt, copy_salts, seed })
        };
        split().ok_or_else(wrong)
    }
}

/// The header of LUKS1 and its first key slot (LUKS1 4.1).
fn luks1(options: &Options<'_>, draw: &Draw) -> Result<Vec<u8>> {
    let Kdf::Pbkdf2 { iterations } = options.kdf else { return Err(inconsistent()) };
    let mut slots = [Luks1Slot::new_zeroed(); LUKS1_SLOTS];
    for (index, slot) in (0..).zip(&mut slots) {
        slot.state = SLOT_INACTIVE.into();
        slot.material_sector = sectors(ALIGN_BYTES + index * AREA_BYTES)?.into();
        slot.stripes = STRIPES.into();
    }
    if let Some(first) = slots.first_mut() {
        first.state = SLOT_ACTIVE.into();
        first.iterations = iterations.into();
        first.salt = draw.slot_salt;
    }
    let mut digest = [0; 20];
    let volume_key = options.volume_key.expose();
    Hash::Sha256.pbkdf2(volume_key, &draw.digest_salt, ITERATIONS_MIN, &mut digest);
    let (cipher_name, cipher_mode) = CIPHER.split_once('-').ok_or_else(inconsistent)?;
    let header = Luks1 {
        magic: MAGIC,
        version: 1.into(),
        cipher_name: text_field(cipher_name),
        cipher_mode: text_field(cipher_mode),
        hash: text_field(Hash::Sha256.name()),
        payload_sector: sectors(LUKS1_PAYLOAD_BYTES)?.into(),
        key_bytes: u32::try_from(VolumeKey::BYTES).map_err(|_| inconsistent())?.into(),
        digest,
        digest_salt: draw.digest_salt,
        digest_iterations: ITERATIONS_MIN.into(),
        uuid: text_field(&uuid_text(options.uuid)),
        slots,
    };
    head(ALIGN_BYTES, &[(0, header.as_bytes())], options, draw)
}

/// Both copies of the header of LUKS2 and its key slot (LUKS2 1, 2).
fn luks2(options: &Options<'_>, draw: &Draw) -> Result<Vec<u8>> {
    let mut json = serde_json::to_vec(&json(options, draw)).map_err(|_| inconsistent())?;
    if json.len() >= LUKS2_JSON_BYTES {
        return Err(inconsistent());
    }
    json.resize(LUKS2_JSON_BYTES, 0);
    let copy = |magic, offset: usize, salt| {
        let mut header = Luks2::new_zeroed();
        header.magic = magic;
        header.version = 2.into();
        header.header_bytes = (LUKS2_HEADER_BYTES as u64).into();
        header.sequence = 1.into();
        header.label = text_field(options.label.as_str());
        header.checksum_hash = text_field(CHECKSUM_HASH);
        header.salt = salt;
        header.uuid = text_field(&uuid_text(options.uuid));
        header.offset_bytes = (offset as u64).into();
        let sum = Sha256::new().chain_update(header.as_bytes()).chain_update(&json).finalize();
        for (to, from) in header.checksum.iter_mut().zip(sum) {
            *to = from;
        }
        header
    };
    let [first, second] = draw.copy_salts;
    let primary = copy(MAGIC, 0, first);
    let secondary = copy(MAGIC_SECONDARY, LUKS2_HEADER_BYTES, second);
    let records = [
        (0, primary.as_bytes()),
        (size_of::<Luks2>(), json.as_slice()),
        (LUKS2_HEADER_BYTES, secondary.as_bytes()),
        (LUKS2_HEADER_BYTES + size_of::<Luks2>(), json.as_slice()),
    ];
    head(2 * LUKS2_HEADER_BYTES as u64, &records, options, draw)
}

fn json(options: &Options<'_>, draw: &Draw) -> Json {
    let name = || "0".to_owned();
    let hash = || Hash::Sha256.name().to_owned();
    let key_size = VolumeKey::BYTES as u64;
    let salt = BASE64.encode(draw.slot_salt);
    let kdf = match options.kdf {
        Kdf::Pbkdf2 { iterations } => KeyDerivation::Pbkdf2 { hash: hash(), iterations, salt },
        Kdf::Argon2id { passes, memory_kib, lanes } => {
            KeyDerivation::Argon2id { time: passes, memory: memory_kib, cpus: lanes, salt }
        }
    };
    let area = Area {
        kind: "raw".to_owned(),
        offset: 2 * LUKS2_HEADER_BYTES as u64,
        size: AREA_BYTES,
        encryption: CIPHER.to_owned(),
        key_size,
    };
    let af = AntiForensic { kind: "luks1".to_owned(), stripes: u64::from(STRIPES), hash: hash() };
    let keyslot =
        Keyslot { kind: "luks2".to_owned(), key_size, af: Some(af), area, kdf: Some(kdf) };
    let segment = Segment {
        kind: "crypt".to_owned(),
        offset: LUKS2_PAYLOAD_BYTES,
        size: "dynamic".to_owned(),
        iv_tweak: 0,
        encryption: CIPHER.to_owned(),
        sector_size: options.sector_bytes as u64,
        integrity: None,
        flags: Vec::new(),
    };
    let mut of_key = [0; 32];
    let volume_key = options.volume_key.expose();
    Hash::Sha256.pbkdf2(volume_key, &draw.digest_salt, ITERATIONS_MIN, &mut of_key);
    let digest = Digest {
        kind: "pbkdf2".to_owned(),
        keyslots: vec![name()],
        segments: vec![name()],
        hash: hash(),
        iterations: ITERATIONS_MIN,
        salt: BASE64.encode(draw.digest_salt),
        value: BASE64.encode(of_key),
    };
    let config = Config {
        json_size: LUKS2_JSON_BYTES as u64,
        keyslots_size: LUKS2_PAYLOAD_BYTES - 2 * LUKS2_HEADER_BYTES as u64,
        requirements: None,
    };
    Json {
        keyslots: [(name(), keyslot)].into(),
        tokens: [].into(),
        segments: [(name(), segment)].into(),
        digests: [(name(), digest)].into(),
        config,
    }
}

/// The records at their places, and the key slot at `area_offset_bytes`, which ends it.
fn head(
    area_offset_bytes: u64,
    records: &[(usize, &[u8])],
    options: &Options<'_>,
    draw: &Draw,
) -> Result<Vec<u8>> {
    let length = usize::try_from(area_offset_bytes + AREA_BYTES).map_err(|_| inconsistent())?;
    let mut head = vec![0; length];
    for (offset, record) in records {
        let place = head.get_mut(*offset..).and_then(|rest| rest.get_mut(..record.len()));
        place.ok_or_else(inconsistent)?.copy_from_slice(record);
    }
    let area = usize::try_from(area_offset_bytes).ok().and_then(|at| head.get_mut(at..));
    let material = area.and_then(|area| area.get_mut(..MATERIAL_BYTES)).ok_or_else(inconsistent)?;
    let mut slot_key = Zeroizing::new([0; VolumeKey::BYTES]);
    let passphrase = options.passphrase.expose();
    match options.kdf {
        Kdf::Pbkdf2 { iterations } => {
            Hash::Sha256.pbkdf2(passphrase, &draw.slot_salt, iterations, &mut *slot_key);
        }
        Kdf::Argon2id { passes, memory_kib, lanes } => {
            let costs = (passes, memory_kib, lanes);
            kdf::argon2(Algorithm::Argon2id, costs, passphrase, &draw.slot_salt, &mut *slot_key)?;
        }
    }
    Xts::new(&*draw.seed)?.encrypt(0, 512, material);
    stripes::split(Hash::Sha256, options.volume_key.expose(), material);
    Xts::new(&*slot_key)?.encrypt(0, 512, material);
    Ok(head)
}

fn sectors(bytes: u64) -> Result<u32> {
    u32::try_from(bytes / SECTOR_BYTES).map_err(|_| inconsistent())
}
