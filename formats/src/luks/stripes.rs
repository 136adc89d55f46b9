//! The anti-forensic splitter (LUKS1 2.4): a key is spread over many stripes, and the loss of any
//! of them loses the key.

use zeroize::Zeroizing;

use super::kdf::Hash;

/// Changes the last stripe of random `material`, so that all stripes merge into `key`. A stripe is
/// as long as the key.
pub(super) fn split(hash: Hash, key: &[u8], material: &mut [u8]) {
    let (stripes, last) = material.split_at_mut(material.len().saturating_sub(key.len()));
    let state = gather(hash, stripes, key.len());
    last.copy_from_slice(key);
    xor(last, &state);
}

/// Merges the stripes into the key, which has `key_bytes` bytes.
pub(super) fn merge(hash: Hash, material: &[u8], key_bytes: usize) -> Zeroizing<Vec<u8>> {
    let (stripes, last) = material.split_at(material.len().saturating_sub(key_bytes));
    let mut key = gather(hash, stripes, key_bytes);
    xor(&mut key, last);
    key
}

/// Adds up the stripes, and diffuses the sum after each.
fn gather(hash: Hash, stripes: &[u8], key_bytes: usize) -> Zeroizing<Vec<u8>> {
    let mut state = Zeroizing::new(vec![0; key_bytes]);
    for stripe in stripes.chunks_exact(key_bytes) {
        xor(&mut state, stripe);
        hash.diffuse(&mut state);
    }
    state
}

fn xor(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= from;
    }
}
