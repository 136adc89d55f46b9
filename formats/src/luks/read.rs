//! Reads the volumes that cryptsetup, QEMU and this crate make. Headers are not
//! trusted: every length is checked before it is used, and what deriving keys may cost
//! is limited.

mod account;
mod cost;
mod luks1;
mod luks2;

use std::io::{self, Read, Seek, SeekFrom};

pub use account::account;
use argon2::Algorithm;
use zerocopy::FromBytes;
use zeroize::Zeroizing;

use super::format::{CIPHER, Luks1, MAGIC, SECTOR_BYTES, STRIPES};
use super::kdf::{self, Hash};
use super::plan::Kdf;
use super::stripes;
use super::version::Version;
use super::xts::Xts;
use crate::content::{Buffer, read_full};
use crate::error::{Error, ErrorKind, Result, corrupt, unreadable};

/// How much is decrypted at once.
const WINDOW_BYTES: u64 = 64 << 10;

/// The header of a volume.
#[derive(Debug)]
pub struct Header {
    version: Version,
    label: String,
    uuid: String,
    hash: Hash,
    key_bytes: usize,
    payload: Payload,
    slots: Vec<Slot>,
    digest: Digest,
    is_whole: bool,
}

/// Where the ciphertext is.
#[derive(Clone, Copy, Debug)]
struct Payload {
    offset_bytes: u64,
    /// The length; none where the ciphertext goes up to the end of the image.
    length_bytes: Option<u64>,
    sector_bytes: usize,
    /// The number of the first sector.
    first_sector: u64,
}

/// The digest by which the right volume key is recognised.
#[derive(Debug)]
struct Digest {
    hash: Hash,
    salt: Vec<u8>,
    iterations: u32,
    value: Vec<u8>,
}

/// A key slot in use.
#[derive(Debug)]
pub struct Slot {
    /// Its number.
    pub index: usize,
    /// Its key derivation, such as `argon2id, 4 passes, 64 MiB, 4 lanes`.
    pub kdf: String,
    /// How the slot is opened, or why this reader cannot open it.
    recipe: Result<Recipe>,
}

#[derive(Debug)]
struct Recipe {
    derivation: Derivation,
    salt: Vec<u8>,
    /// Hash of the stripes.
    hash: Hash,
    area_offset_bytes: u64,
    /// Length of the key by which the key material is encrypted.
    area_key_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Derivation {
    Pbkdf2 { hash: Hash, iterations: u32 },
    Argon2 { algorithm: Algorithm, passes: u32, memory_kib: u32, lanes: u32 },
}

impl Slot {
    /// Whether the slot has this key derivation, with these costs.
    pub fn is_derived_by(&self, kdf: Kdf) -> bool {
        let derivation = self.recipe.as_ref().map(|recipe| recipe.derivation);
        match (derivation, kdf) {
            (Ok(Derivation::Pbkdf2 { hash, iterations }), Kdf::Pbkdf2 { iterations: wanted }) => {
                hash == Hash::Sha256 && iterations == wanted
            }
            (
                Ok(Derivation::Argon2 {
                    algorithm: Algorithm::Argon2id,
                    passes,
                    memory_kib,
                    lanes,
                }),
                Kdf::Argon2id { passes: p, memory_kib: m, lanes: l },
            ) => (passes, memory_kib, lanes) == (p, m, l),
            (Ok(Derivation::Pbkdf2 { .. }), Kdf::Argon2id { .. })
            | (Ok(Derivation::Argon2 { .. }), Kdf::Argon2id { .. } | Kdf::Pbkdf2 { .. })
            | (Err(_), Kdf::Argon2id { .. } | Kdf::Pbkdf2 { .. }) => false,
        }
    }
}

impl Header {
    /// Reads the header of `image`. What is none, or a damaged one, is
    /// [`ErrorKind::Corrupt`]; one of other ciphers, with the payload elsewhere, with
    /// integrity or in the middle of a reencryption is [`ErrorKind::Unsupported`]; a failing
    /// read is [`ErrorKind::Source`]. Of LUKS2, the second copy takes the place of a
    /// damaged first one.
    pub fn read<R: Read + Seek>(image: &mut R) -> Result<Self> {
        let start = read_at(image, 0, size_of::<Luks1>())?;
        let version = start.strip_prefix(&MAGIC).and_then(|rest| rest.first_chunk().copied());
        match version.map(u16::from_be_bytes) {
            Some(1) => {
                let header = Luks1::read_from_bytes(&start).map_err(|_| cut_off())?;
                luks1::header(&header)
            }
            Some(2) | None => luks2::header(image),
            // The unknown value may be part of the damage.
            Some(other) => luks2::header(image).map_err(|_| {
                let message = format!("expected LUKS1 or LUKS2, got version {other}");
                Error::new(ErrorKind::Unsupported, message)
            }),
        }
    }

    /// The version of LUKS.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The label; empty where there is none, as in LUKS1. Bytes that are no UTF-8 are replaced.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The UUID as it is written.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// Cipher, mode and tweak, such as `aes-xts-plain64`.
    pub fn cipher(&self) -> String {
        CIPHER.to_owned()
    }

    /// Length of the volume key: 64, or 32 for AES-128-XTS.
    pub fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    /// The hash that LUKS1 uses everywhere, and LUKS2 for the volume key's digest:
    /// `sha256` or `sha512`.
    pub fn hash(&self) -> &'static str {
        self.hash.name()
    }

    /// Length of a sector of the payload.
    pub fn sector_bytes(&self) -> usize {
        self.payload.sector_bytes
    }

    /// Whether all copies of the header are intact and equal; LUKS2 has two. A program that only
    /// reads the first one, such as blkid, may not recognise a volume that is not whole.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Where the payload begins.
    pub fn payload_offset_bytes(&self) -> u64 {
        self.payload.offset_bytes
    }

    /// Iterations of PBKDF2 in the digest by which the right volume key is recognised.
    pub fn digest_iterations(&self) -> u32 {
        self.digest.iterations
    }

    /// The key slots in use, in their order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Opens `image`, from which this header was read, by trying every slot. If that would cost
    /// more than [`Self::require_cheap`] allows, nothing is tried. If no slot opens, that is
    /// [`ErrorKind::Key`]; if no slot can be tried, the error is the reason. An image that ends too
    /// early is [`ErrorKind::Corrupt`].
    pub fn open<R: Read + Seek>(&self, image: R, passphrase: &[u8]) -> Result<Reader<R>> {
        self.require_cheap()?;
        self.open_at_any_cost(image, passphrase)
    }

    /// Opens `image` whatever work and memory its header asks for, within the limits of cryptsetup:
    /// that may take hours and 4 GiB of memory. Other errors are those of [`Self::open`].
    pub fn open_at_any_cost<R: Read + Seek>(
        &self,
        mut image: R,
        passphrase: &[u8],
    ) -> Result<Reader<R>> {
        let key = self.unlock(&mut image, passphrase)?;
        let Payload { offset_bytes, sector_bytes, .. } = self.payload;
        let image_bytes = image.seek(SeekFrom::End(0)).map_err(unreadable)?;
        let rest_bytes = image_bytes.checked_sub(offset_bytes).ok_or_else(cut_off)?;
        let length_bytes = self.payload.length_bytes.unwrap_or(rest_bytes);
        if length_bytes > rest_bytes {
            return Err(cut_off());
        }
        if !length_bytes.is_multiple_of(sector_bytes as u64) {
            let message = format!(
                "expected a payload of whole sectors of {sector_bytes} bytes, \
                 got {length_bytes} bytes"
            );
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(Reader {
            image,
            cipher: Xts::new(&key)?,
            payload: self.payload,
            length_bytes,
            window: Buffer::default(),
            window_start: 0,
            position: 0,
        })
    }

    /// The volume key.
    fn unlock<R: Read + Seek>(
        &self,
        image: &mut R,
        passphrase: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        let mut was_tried = false;
        let mut obstacle = None;
        for slot in &self.slots {
            let outcome = match &slot.recipe {
                Ok(recipe) => self.try_slot(recipe, image, passphrase),
                Err(error) => Err(Error::new(error.kind(), error.to_string())),
            };
            match outcome {
                Ok(Some(key)) => return Ok(key),
                Ok(None) => was_tried = true,
                Err(error) if error.kind() == ErrorKind::Source => return Err(error),
                Err(error) => {
                    let message = format!("key slot {}: {error}", slot.index);
                    obstacle.get_or_insert(Error::new(error.kind(), message));
                }
            }
        }
        match obstacle {
            Some(error) if !was_tried => Err(error),
            _ => {
                let message = "no key slot opens: the passphrase or key is another one";
                Err(Error::new(ErrorKind::Key, message))
            }
        }
    }

    /// The volume key by this slot; none where the passphrase does not open it.
    fn try_slot<R: Read + Seek>(
        &self,
        recipe: &Recipe,
        image: &mut R,
        passphrase: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let length = STRIPES as usize * self.key_bytes;
        let mut material = Zeroizing::new(read_at(image, recipe.area_offset_bytes, length)?);
        if material.len() < length {
            return Err(cut_off());
        }
        let Digest { hash, salt, iterations, value } = &self.digest;
        let slot_key = recipe.derive(passphrase)?;
        // The material of either version is in sectors of 512 bytes, counted from its start.
        Xts::new(&slot_key)?.decrypt(0, 512, &mut material);
        let key = stripes::merge(recipe.hash, &material, self.key_bytes);
        let mut found = vec![0; value.len()];
        hash.pbkdf2(&key, salt, *iterations, &mut found);
        Ok((found == *value).then_some(key))
    }
}

impl Recipe {
    /// Derives the key by which the key material is encrypted.
    fn derive(&self, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let mut key = Zeroizing::new(vec![0; self.area_key_bytes]);
        match self.derivation {
            Derivation::Pbkdf2 { hash, iterations } => {
                hash.pbkdf2(passphrase, &self.salt, iterations, &mut key);
            }
            Derivation::Argon2 { algorithm, passes, memory_kib, lanes } => {
                let costs = (passes, memory_kib, lanes);
                kdf::argon2(algorithm, costs, passphrase, &self.salt, &mut key)?;
            }
        }
        Ok(key)
    }
}

impl Derivation {
    /// The text for people.
    fn describe(self) -> String {
        match self {
            Self::Pbkdf2 { hash, iterations } => {
                format!("pbkdf2 {}, {iterations} iterations", hash.name())
            }
            Self::Argon2 { algorithm, passes, memory_kib, lanes } => {
                let memory = if memory_kib.is_multiple_of(1024) {
                    format!("{} MiB", memory_kib / 1024)
                } else {
                    format!("{memory_kib} KiB")
                };
                let plural = |count| if count == 1 { "" } else { "s" };
                let passes_unit = if passes == 1 { "pass" } else { "passes" };
                let name = algorithm.as_str();
                format!("{name}, {passes} {passes_unit}, {memory}, {lanes} lane{}", plural(lanes))
            }
        }
    }
}

/// The plaintext of a volume.
pub struct Reader<R> {
    image: R,
    cipher: Xts,
    payload: Payload,
    length_bytes: u64,
    /// Plaintext around the position; wiped when dropped.
    window: Buffer,
    window_start: u64,
    position: u64,
}

impl<R: Read + Seek> Reader<R> {
    /// Address and length of the expanded keys, for locking them until the reader is dropped.
    pub fn memory(&self) -> (*const u8, usize) {
        self.cipher.memory()
    }

    /// Decrypts the window that holds the position, which is before the end.
    fn load(&mut self) -> io::Result<()> {
        let start = self.position - self.position % WINDOW_BYTES;
        let length = WINDOW_BYTES.min(self.length_bytes - start);
        let length = usize::try_from(length).unwrap_or_default();
        // The window is empty after an error.
        let mut window = std::mem::take(&mut self.window);
        if window.len() != length {
            window = Buffer::zeroed(length);
        }
        self.image.seek(SeekFrom::Start(self.payload.offset_bytes + start))?;
        self.image.read_exact(&mut window)?;
        let sector = self.payload.first_sector.wrapping_add(start / SECTOR_BYTES);
        self.cipher.decrypt(sector, self.payload.sector_bytes, &mut window);
        self.window = window;
        self.window_start = start;
        Ok(())
    }

    /// The decrypted bytes from the position on.
    fn ready(&self) -> &[u8] {
        let skip = self.position.checked_sub(self.window_start);
        let skip = skip.and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.window.get(skip..)).unwrap_or_default()
    }
}

impl<R: Read + Seek> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.length_bytes {
            return Ok(0);
        }
        if self.ready().is_empty() {
            self.load()?;
        }
        let mut ready = self.ready();
        let length = ready.read(buffer)?;
        self.position += length as u64;
        Ok(length)
    }
}

impl<R: Read + Seek> Seek for Reader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.length_bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Reads at most `length` bytes from `offset_bytes` on, and fewer if the image ends before. Memory
/// is taken only for bytes that are there.
fn read_at<R: Read + Seek>(image: &mut R, offset_bytes: u64, length: usize) -> Result<Vec<u8>> {
    const PIECE_BYTES: usize = 64 << 10;
    image.seek(SeekFrom::Start(offset_bytes)).map_err(unreadable)?;
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let old = bytes.len();
        bytes.resize(length.min(old + PIECE_BYTES), 0);
        let window = bytes.get_mut(old..).unwrap_or_default();
        let (got, want) = (read_full(&mut *image, window).map_err(unreadable)?, window.len());
        if got < want {
            bytes.truncate(old + got);
            break;
        }
    }
    Ok(bytes)
}

fn cut_off() -> Error {
    corrupt("the image ends too early")
}

/// An error that quotes text of the header.
fn unsupported(what: &str, text: &str) -> Error {
    let message = format!("the {what} {} is not supported", text.escape_debug());
    Error::new(ErrorKind::Unsupported, message)
}

fn detached() -> Error {
    Error::new(ErrorKind::Unsupported, "the header is detached: the payload is elsewhere")
}

/// Length of a key of AES-XTS: 32 bytes for AES-128, 64 for AES-256.
fn key_length(bytes: u64) -> Result<usize> {
    match bytes {
        32 => Ok(32),
        64 => Ok(64),
        _ => {
            let message = format!("expected a key of 32 or 64 bytes, got {bytes}");
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

/// An error where a slot has another number of stripes than cryptsetup writes.
fn check_stripes(stripes: u64) -> Result<()> {
    if stripes == u64::from(STRIPES) {
        return Ok(());
    }
    let message = format!("expected {STRIPES} stripes, got {stripes}");
    Err(Error::new(ErrorKind::Unsupported, message))
}

/// An error where a slot's key material is not between the headers and the payload.
fn check_area(
    (offset_bytes, length_bytes): (u64, u64),
    headers_bytes: u64,
    payload_offset_bytes: u64,
) -> Result<()> {
    let end = offset_bytes.checked_add(length_bytes);
    if offset_bytes >= headers_bytes && end.is_some_and(|end| end <= payload_offset_bytes) {
        return Ok(());
    }
    Err(corrupt(format!(
        "a key slot at {offset_bytes} with {length_bytes} bytes overlaps the header or the payload"
    )))
}
