//! The anti-forensic splitter: a key spread over so many stripes that the loss of
//! any of them loses the key (LUKS1 2.4).

use zeroize::Zeroizing;

use super::kdf::Hash;

/// Makes random `material`, a number of stripes as long as `key` each, merge into `key`,
/// by its last stripe.
pub(super) fn split(hash: Hash, key: &[u8], material: &mut [u8]) {
    let (stripes, last) = material.split_at_mut(material.len().saturating_sub(key.len()));
    let state = gather(hash, stripes, key.len());
    last.copy_from_slice(key);
    xor(last, &state);
}

/// Puts the key of `key_bytes` together again.
pub(super) fn merge(hash: Hash, material: &[u8], key_bytes: usize) -> Zeroizing<Vec<u8>> {
    let (stripes, last) = material.split_at(material.len().saturating_sub(key_bytes));
    let mut key = gather(hash, stripes, key_bytes);
    xor(&mut key, last);
    key
}

/// The stripes added up, and spread out after each.
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
