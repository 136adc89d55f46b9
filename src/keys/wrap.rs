//! What QEMU's secret objects do with a master key: AES-256 in CBC mode with PKCS#7
//! padding, key and initialisation vector in base64 (QEMU's `crypto/secret_common.c`
//! and its manual, "Providing secret data"). Nothing authenticates the result.

use std::rc::Rc;

use aes::Aes256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use credimg_formats::{Buffer, Secret};

use super::{held, hold, random, without_traces};
use crate::report::Failure;

/// Length of the initialisation vector in bytes: a block of AES.
const IV_BYTES: usize = 16;

/// The key that secrets of one machine are wrapped with: 32 bytes.
#[derive(Clone, Debug)]
pub struct MasterKey(Rc<Secret>);

impl MasterKey {
    /// Length in bytes: AES-256 (QEMU, `qcrypto_secret_decrypt`).
    pub const BYTES: usize = 32;

    /// Takes exactly 32 bytes.
    pub fn new(bytes: Secret) -> Option<Self> {
        (bytes.len() == Self::BYTES).then(|| Self(Rc::new(held(bytes))))
    }

    /// A fresh one, in base64 as its file holds it.
    pub fn generate() -> Result<Secret, Failure> {
        without_traces(|| {
            let mut bytes = Buffer::zeroed(Self::BYTES);
            hold(&bytes);
            random::fill(&mut bytes)?;
            let mut text = Buffer::zeroed(Self::BYTES.div_ceil(3) * 4);
            hold(&text);
            // It is as long as it has to be.
            let length = STANDARD.encode_slice(&*bytes, &mut text).unwrap_or_default();
            Ok(text.into_secret(length))
        })
    }

    /// Wraps `secret` under a fresh random vector.
    pub fn wrap(&self, secret: &Secret) -> Result<Wrapped, Failure> {
        let mut iv = [0; IV_BYTES];
        random::fill(&mut iv)?;
        Ok(self.wrap_with(secret, iv))
    }

    /// What `wrapped` holds; none where this key does not open it, or nothing does.
    pub fn unwrap(&self, wrapped: &Wrapped) -> Option<Secret> {
        without_traces(|| self.unwrap_here(wrapped))
    }

    fn unwrap_here(&self, wrapped: &Wrapped) -> Option<Secret> {
        let iv = STANDARD.decode(&wrapped.iv).ok()?;
        let mut bytes = STANDARD.decode(&wrapped.data).ok()?;
        let cipher = cbc::Decryptor::<Aes256>::new_from_slices(self.0.expose(), &iv).ok()?;
        let length = cipher.decrypt_padded::<Pkcs7>(&mut bytes).map(<[u8]>::len);
        let plain = Secret::new(bytes);
        Some(Secret::from(plain.expose().get(..length.ok()?)?))
    }

    fn wrap_with(&self, secret: &Secret, iv: [u8; IV_BYTES]) -> Wrapped {
        // The length of the key is checked, so this is never none.
        let data = without_traces(|| {
            let cipher = cbc::Encryptor::<Aes256>::new_from_slices(self.0.expose(), &iv).ok();
            cipher.map(|cipher| cipher.encrypt_padded_vec::<Pkcs7>(secret.expose()))
        });
        Wrapped { iv: STANDARD.encode(iv), data: STANDARD.encode(data.unwrap_or_default()) }
    }
}

/// A wrapped secret, safe to show: who has not the master key learns its length only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// 16 bytes in base64.
    pub iv: String,
    /// Ciphertext in base64.
    pub data: String,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    /// NIST SP 800-38A, F.2.5, its first block: a padding block follows.
    #[test]
    fn agrees_with_the_published_vector() {
        let key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
        let bytes = |text: &str| {
            let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect::<Vec<_>>()
        };
        let master = MasterKey::new(Secret::new(bytes(key))).unwrap();
        let secret = Secret::new(bytes("6bc1bee22e409f96e93d7e117393172a"));
        let iv = bytes("000102030405060708090a0b0c0d0e0f").try_into().unwrap();
        let wrapped = master.wrap_with(&secret, iv);
        let data = STANDARD.decode(&wrapped.data).unwrap();
        assert_eq!(data.get(..16).unwrap(), bytes("f58c4c04d6e5f1ba779eabfb5f7bfbd6"));
        assert_eq!(data.len(), 32);
        assert_eq!(master.unwrap(&wrapped).unwrap(), secret);
    }

    #[test]
    fn every_length_comes_back_and_never_as_the_same_text() {
        let master = MasterKey::new(Secret::new(vec![7; 32])).unwrap();
        for length in 0..100 {
            let secret = Secret::new((0..length).collect());
            let [first, second] = [(); 2].map(|()| master.wrap(&secret).unwrap());
            assert_ne!(first, second);
            assert_eq!(master.unwrap(&first).unwrap(), secret);
        }
    }

    #[test]
    fn what_is_damaged_does_not_open() {
        let master = MasterKey::new(Secret::new(vec![7; 32])).unwrap();
        let whole = master.wrap(&Secret::from(&b"hunter2"[..])).unwrap();
        for (iv, data) in [
            ("", whole.data.as_str()),
            ("AAAA", &whole.data),
            ("!", &whole.data),
            (&whole.iv, ""),
            (&whole.iv, "AAAA"),
            (&whole.iv, "!"),
        ] {
            let wrapped = Wrapped { iv: iv.to_owned(), data: data.to_owned() };
            assert_eq!(master.unwrap(&wrapped), None);
        }
        assert!(MasterKey::new(Secret::new(vec![7; 31])).is_none());
    }
}
