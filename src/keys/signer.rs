//! Signs the root hash of a hash tree, so that Linux accepts only disks of whoever has the key:
//! `root-hash-signature=` of veritytab(5), and dm-verity's `root_hash_sig_key_desc`.
//!
//! The signature is a detached one in PKCS#7 (RFC 2315 9), without attributes and certificates:
//! byte for byte that of `openssl smime -sign -nocerts -noattr -binary -outform DER`.

mod der;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credimg_formats::{Buffer, Secret};
use rsa::PrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePublicKey};
use sha2::Sha256;

use self::der::{Certificate, null, octets, oid, sequence, set, tagged, version};
use super::{hold, without_traces};
use crate::host::input;
use crate::host::open::open_file;
use crate::host::private::{self, Owners};
use crate::report::{Exit, Failure, reason, shown};

/// Longest key file and certificate that are read.
const MAX_BYTES: usize = 64 << 10;
/// How a key is made.
const MAKE: &str = "`openssl req -x509 -newkey rsa:2048 -nodes -keyout KEY -out CERT -days 3650 \
                    -subj /CN=NAME` makes both";

/// A key with its certificate.
pub struct Signer {
    /// The key as PKCS#8, in DER. The library computes numbers from it in memory that is not
    /// locked, so they exist only while something is signed.
    key: Secret,
    certificate: Certificate,
}

impl Signer {
    /// Reads the private key at `key` and its certificate at `certificate`, both in PEM. The key's
    /// file must be private, as that of any key: errors are those of [`read`](super::read).
    pub fn read(key: &Path, certificate: &Path) -> Result<Self, Failure> {
        let (secret, public_key) = read_key(key)?;
        let signer = Self { key: secret, certificate: read_certificate(certificate)? };
        if public_key != signer.certificate.public_key {
            let (key, certificate) = (shown(key), shown(certificate));
            let message = format!("the certificate {certificate} is not that of the key {key}");
            return Err(Failure::new(Exit::Source, message).hint(MAKE));
        }
        Ok(signer)
    }

    /// The signature of `text`, in DER.
    pub fn sign(&self, text: &str) -> Result<Vec<u8>, Failure> {
        let signed = without_traces(|| {
            let key = PrivateKey::from_pkcs8_der(self.key.expose()).ok()?;
            key.pkcs1v15_sign::<Sha256>(text.as_bytes()).ok()
        });
        let signature = signed.ok_or_else(|| {
            Failure::new(Exit::Source, "the key that signs the root hash is too small for it")
        })?;
        Ok(self.pkcs7(&signature))
    }

    /// RFC 2315 7, 9.1 and 9.2.
    fn pkcs7(&self, signature: &[u8]) -> Vec<u8> {
        let sha256 = sequence(&[&oid(&der::SHA_256), &null()]);
        let rsa = sequence(&[&oid(&der::RSA_ENCRYPTION), &null()]);
        let Certificate { issuer, serial, .. } = &self.certificate;
        let signer = sequence(&[
            &version(1),
            &sequence(&[issuer, serial]),
            &sha256,
            &rsa,
            &octets(signature),
        ]);
        let signed_data =
            sequence(&[&version(1), &set(&sha256), &sequence(&[&oid(&der::DATA)]), &set(&signer)]);
        sequence(&[&oid(&der::SIGNED_DATA), &tagged(&signed_data)])
    }
}

/// The key in DER, and its public half as certificates have it.
fn read_key(path: &Path) -> Result<(Secret, Vec<u8>), Failure> {
    let what = "the key file";
    let fault = |fault: &str, hint: &str| {
        let message = format!("{what} {} {fault}", shown(path));
        Err(Failure::new(Exit::Source, message).hint(hint))
    };
    let secret = private::read(path, what, MAX_BYTES, Owners::Trusted(None), MAKE)?;
    let Some(secret) = secret else { return fault(&format!("has over {MAX_BYTES} bytes"), MAKE) };
    let text = std::str::from_utf8(secret.expose()).unwrap_or_default();
    for (label, what) in [
        ("ENCRYPTED PRIVATE KEY", "is encrypted"),
        ("RSA PRIVATE KEY", "is in PKCS#1"),
        ("EC PRIVATE KEY", "is of an elliptic curve"),
    ] {
        if text.contains(&format!("-----BEGIN {label}-----")) {
            let hint = "a key of RSA in PKCS#8 is taken, as `openssl pkcs8 -topk8 -nocrypt -in KEY` \
                        writes it";
            return fault(what, hint);
        }
    }
    // The library's error is dropped, as it may quote the file.
    let key = without_traces(|| {
        let der = pem(text, "PRIVATE KEY")?;
        let key = PrivateKey::from_pkcs8_der(der.expose()).ok()?;
        let public_key = key.to_public_key().to_public_key_der().ok()?;
        Some((der, public_key.as_bytes().to_vec()))
    });
    key.map_or_else(|| fault("is no private key of RSA in PEM", MAKE), Ok)
}

fn read_certificate(path: &Path) -> Result<Certificate, Failure> {
    let (file, _) = open_file(path).map_err(|failure| {
        let message = format!("the certificate: {}", failure.message);
        Failure { message, hint: None, ..failure }
    })?;
    let bytes = input::read(&file, MAX_BYTES).map_err(|error| {
        let message = format!("cannot read the certificate {}: {}", shown(path), reason(&error));
        Failure::new(Exit::Source, message)
    })?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let certificate = pem(text, "CERTIFICATE").and_then(|der| Certificate::parse(der.expose()));
    certificate.ok_or_else(|| {
        let message = format!("{} is no certificate in PEM", shown(path));
        Failure::new(Exit::Source, message).hint(MAKE)
    })
}

/// The bytes of the PEM block with this label (RFC 7468 2), in locked memory.
fn pem(text: &str, label: &str) -> Option<Secret> {
    let (_, behind) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = behind.split_once(&format!("-----END {label}-----"))?;
    let mut digits = Buffer::zeroed(body.len());
    hold(&digits);
    let mut count = 0;
    for (to, digit) in digits.iter_mut().zip(body.bytes().filter(|b| !b.is_ascii_whitespace())) {
        *to = digit;
        count += 1;
    }
    let mut bytes = Buffer::zeroed(body.len());
    hold(&bytes);
    let length = STANDARD.decode_slice(digits.get(..count)?, &mut bytes).ok()?;
    Some(bytes.into_secret(length))
}
