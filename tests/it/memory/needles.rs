//! What is looked for: secrets in each form in which the program has them.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

/// What a needle is, which says where it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// In locked memory alone, and nowhere at the end.
    Key,
    /// What is stored: nowhere at the end.
    Content,
}

/// What is looked for, each with its name.
#[derive(Clone, Default)]
pub(super) struct Needles(Vec<(String, Kind, Vec<u8>)>);

impl Needles {
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Kind, &[u8])> {
        self.0.iter().map(|(name, kind, bytes)| (&**name, *kind, &**bytes))
    }

    fn add(&mut self, name: String, kind: Kind, bytes: &[u8]) {
        assert!(bytes.len() >= 16, "{name}: too short to be told from others");
        self.0.push((name, kind, bytes.to_vec()));
    }

    /// Bytes as they are, and the end of what is cut off at its start: a freed block of
    /// the heap keeps its first 16 bytes to itself.
    pub(super) fn raw(&mut self, name: &str, bytes: &[u8]) {
        self.add(name.to_owned(), Kind::Key, bytes);
        if bytes.len() >= 32 {
            let (start, _) = bytes.split_at(16);
            let (_, end) = bytes.split_at(bytes.len() - 16);
            self.add(format!("{name}, its start"), Kind::Key, start);
            self.add(format!("{name}, its end"), Kind::Key, end);
        }
    }

    /// A key that is read or written: as it is, in base64 wherever it stands among other bytes, and
    /// as HMAC pads it (RFC 2104), from which what it opens can be derived as well.
    pub(super) fn key(&mut self, name: &str, bytes: &[u8]) {
        self.raw(name, bytes);
        for (form, text) in in_base64(bytes) {
            self.add(format!("{name}, {form}"), Kind::Key, text.as_bytes());
        }
        if bytes.len() <= 64 {
            for (form, pad) in [("inner pad", 0x36), ("outer pad", 0x5c)] {
                let padded: Vec<_> = bytes.iter().map(|byte| byte ^ pad).collect();
                self.add(format!("{name}, {form}"), Kind::Key, &padded);
            }
        }
    }

    /// A key of AES: as it is, and the schedule that is made of it.
    pub(super) fn cipher(&mut self, name: &str, key: &[u8]) {
        self.raw(name, key);
        let schedule = schedule(key);
        // The first two round keys are the key. Middle ones are turned round for decryption.
        let last = schedule.len() / 16 - 1;
        for round in [2, 3, last / 2, last - 1, last] {
            let round_key = &schedule[16 * round..][..16];
            self.add(format!("{name}, round key {round}"), Kind::Key, round_key);
            let turned = inverse_mix_columns(round_key);
            self.add(format!("{name}, round key {round} turned"), Kind::Key, &turned);
        }
    }

    pub(super) fn content(&mut self, name: &str, bytes: &[u8]) {
        self.add(name.to_owned(), Kind::Content, bytes);
        for (form, text) in in_base64(bytes) {
            self.add(format!("{name}, {form}"), Kind::Content, text.as_bytes());
        }
    }

    /// What opens a blob: its file key, and what is derived of it, found by the standard
    /// (<https://age-encryption.org/v1>).
    pub(super) fn blob(&mut self, blob: &[u8], identity: &str) {
        let end = blob.windows(5).position(|window| window == b"\n--- ").unwrap();
        let header = std::str::from_utf8(&blob[..end]).unwrap();
        let mac_end = end + 1 + blob[end + 1..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let nonce = &blob[mac_end..][..16];
        let mut lines = header.lines().skip_while(|line| !line.starts_with("-> X25519 "));
        let share = lines.next().unwrap().strip_prefix("-> X25519 ").unwrap();
        let decode = |text: &str| STANDARD_NO_PAD.decode(text).unwrap();
        let (share, body) = (decode(share), decode(lines.next().unwrap()));
        let secret = StaticSecret::from(<[u8; 32]>::try_from(scalar(identity)).unwrap());
        let ephemeral = PublicKey::from(<[u8; 32]>::try_from(&share[..]).unwrap());
        let shared = secret.diffie_hellman(&ephemeral);
        let salt = [&share[..], PublicKey::from(&secret).as_bytes()].concat();
        let wrap_key = derive(shared.as_bytes(), &salt, b"age-encryption.org/v1/X25519");
        let cipher = ChaCha20Poly1305::new_from_slice(&wrap_key).unwrap();
        let file_key = cipher.decrypt(&[0; 12].into(), &body[..]).unwrap();
        self.raw("the blob's file key", &file_key);
        self.raw("the blob's shared secret", shared.as_bytes());
        self.raw("the blob's wrap key", &wrap_key);
        self.raw("the blob's payload key", &derive(&file_key, nonce, b"payload"));
        self.raw("the blob's header key", &derive(&file_key, b"", b"header"));
    }

    /// What opens a volume: its key, and that of its only key slot, derived here again.
    pub(super) fn volume(&mut self, image: &[u8], passphrase: &[u8], volume_key: &[u8]) {
        let slot_key = slot_key(image, passphrase);
        for (name, key) in [("the volume key", volume_key), ("the slot key", &slot_key)] {
            assert_eq!(key.len(), 64);
            let (data, tweak) = key.split_at(32);
            self.cipher(&format!("{name} of the data"), data);
            self.cipher(&format!("{name} of the tweaks"), tweak);
        }
    }
}

/// HKDF with SHA-256 (RFC 5869), 32 bytes of it.
fn derive(key: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    let mut derived = [0; 32];
    let hkdf = Hkdf::<sha2_of_hkdf::Sha256>::new(Some(salt), key);
    hkdf.expand(info, &mut derived).unwrap();
    derived
}

/// The text of `bytes` in base64, without what other bytes take part in at both ends.
fn in_base64(bytes: &[u8]) -> impl Iterator<Item = (&'static str, String)> {
    ["base64", "base64 behind 1 byte", "base64 behind 2 bytes"].into_iter().enumerate().map(
        move |(before, form)| {
            let text = STANDARD.encode([&vec![0; before], bytes].concat());
            let text = text.trim_end_matches('=');
            (form, text[[0, 2, 3][before]..text.len() - 1].to_owned())
        },
    )
}

/// The key of the first key slot (LUKS1 4.1; LUKS2 3.2).
fn slot_key(image: &[u8], passphrase: &[u8]) -> Vec<u8> {
    let mut key = vec![0; 64];
    if image[7] == 1 {
        let slot = &image[208..][..48];
        let iterations = u32::from_be_bytes(slot[4..8].try_into().unwrap());
        pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, &slot[8..40], iterations, &mut key);
        return key;
    }
    let text = image[4096..].split(|byte| *byte == 0).next().unwrap();
    let json: serde_json::Value = serde_json::from_slice(text).unwrap();
    let kdf = &json["keyslots"]["0"]["kdf"];
    let number = |name: &str| u32::try_from(kdf[name].as_u64().unwrap()).unwrap();
    let salt = STANDARD.decode(kdf["salt"].as_str().unwrap()).unwrap();
    if kdf["type"] == "pbkdf2" {
        pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, &salt, number("iterations"), &mut key);
    } else {
        let params = Params::new(number("memory"), number("time"), number("cpus"), Some(64));
        let params = params.unwrap();
        let mut memory = vec![Block::new(); params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into_with_memory(passphrase, &salt, &mut key, &mut memory).unwrap();
    }
    key
}

/// The scalar in the text of an age identity (BIP 173: five bits a letter).
pub(super) fn scalar(identity: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    let data = identity.strip_prefix("AGE-SECRET-KEY-1").unwrap().as_bytes();
    let value = |letter: &u8| LETTERS.iter().position(|other| other == letter).unwrap();
    let values = data[..data.len() - 6].iter().map(value);
    let bits = values.flat_map(|value| (0..5).rev().map(move |bit| value >> bit & 1));
    let bits: Vec<_> = bits.collect();
    let byte =
        |bits: &[usize]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::try_from(*bit).unwrap());
    bits.chunks_exact(8).map(byte).collect()
}

/// The key schedule of AES-256 (FIPS 197, 5.2).
fn schedule(key: &[u8]) -> Vec<u8> {
    assert_eq!(key.len(), 32);
    let mut words: Vec<[u8; 4]> = key.as_chunks::<4>().0.to_vec();
    let mut constant = 1;
    for index in 8..60 {
        let mut word = words[index - 1];
        if index % 8 == 0 {
            word.rotate_left(1);
            word = word.map(substitute);
            word[0] ^= constant;
            constant = double(constant);
        } else if index % 8 == 4 {
            word = word.map(substitute);
        }
        let before = words[index - 8];
        words.push([0, 1, 2, 3].map(|place| word[place] ^ before[place]));
    }
    words.concat()
}

fn double(value: u8) -> u8 {
    value << 1 ^ if value & 0x80 == 0 { 0 } else { 0x1b }
}

fn multiply(mut one: u8, mut other: u8) -> u8 {
    let mut product = 0;
    while other > 0 {
        if other & 1 == 1 {
            product ^= one;
        }
        one = double(one);
        other >>= 1;
    }
    product
}

/// The substitution of bytes (FIPS 197, 5.1.1): the inverse, and an affine map of it.
fn substitute(value: u8) -> u8 {
    let inverse = (1..=255).find(|other| multiply(value, *other) == 1).unwrap_or(0);
    (0..5).fold(0x63, |sum, turn| sum ^ inverse.rotate_left(turn))
}

/// What decryption does to the round keys in the middle (FIPS 197, 5.3.5).
fn inverse_mix_columns(round_key: &[u8]) -> Vec<u8> {
    let column = |column: &[u8; 4]| {
        [0, 1, 2, 3].map(|row| {
            [14, 11, 13, 9]
                .iter()
                .enumerate()
                .fold(0, |sum, (at, factor)| sum ^ multiply(column[(row + at) % 4], *factor))
        })
    };
    round_key.as_chunks::<4>().0.iter().flat_map(column).collect()
}

/// FIPS 197, appendix A.3; and its appendix B, the same column both ways.
#[test]
fn schedules_are_those_of_the_standard() {
    let key = super::from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    let schedule = schedule(&key);
    assert_eq!(schedule[schedule.len() - 4..], super::from_hex("706c631e"));
    let mixed = super::from_hex("046681e5e0cb199a48f8d37a2806264c");
    assert_eq!(inverse_mix_columns(&mixed), super::from_hex("d4bf5d30e0b452aeb84111f11e2798e5"));
}
