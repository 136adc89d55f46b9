//! Canaries, and where they are in any bytes.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use crate::formats::generator::Random;

/// Every canary begins so. It is as long as whole groups of base64, as the whole canary is.
const BEGIN: &[u8] = b"cAnArY";
/// How long a canary is.
const LENGTH: usize = 24;
/// How long one is in base64.
const ENCODED_LENGTH: usize = LENGTH / 3 * 4;

/// A canary: 18 digits behind what all of them begin with. They look random, so that a compressor
/// makes no canary of the pieces of two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Canary(pub(super) String);

impl Canary {
    pub(super) fn new(number: u64) -> Self {
        let digits = Random::new(number).next() % 10_u64.pow(18);
        Self(format!("{}{digits:018}", str::from_utf8(BEGIN).unwrap()))
    }
}

/// Every canary in `bytes`, as it is or in base64 that begins with it.
pub(super) fn canaries(bytes: &[u8]) -> BTreeSet<Canary> {
    let encoded = STANDARD.encode(BEGIN);
    let plain = memmem::find_iter(bytes, BEGIN).filter_map(|at| bytes.get(at..at + LENGTH));
    let mut found: BTreeSet<Canary> = plain.filter_map(canary).collect();
    for at in memmem::find_iter(bytes, encoded.as_bytes()) {
        let Some(text) = bytes.get(at..at + ENCODED_LENGTH) else { continue };
        found.extend(STANDARD.decode(text).ok().as_deref().and_then(canary));
    }
    found
}

/// The canary that these bytes are. What a compressor has left of one is none.
fn canary(bytes: &[u8]) -> Option<Canary> {
    let (begin, digits) = bytes.split_at(BEGIN.len());
    let is_whole = begin == BEGIN && digits.iter().all(u8::is_ascii_digit);
    is_whole.then(|| Canary(String::from_utf8_lossy(bytes).into_owned()))
}

#[test]
fn canaries_are_found_in_every_form() {
    let (one, two) = (Canary::new(1), Canary::new(2));
    let text = format!("x{}y{}", one.0, STANDARD.encode(&two.0));
    assert_eq!(canaries(text.as_bytes()), BTreeSet::from([one, two]));
    assert!(canaries(b"cAnArY").is_empty());
}
