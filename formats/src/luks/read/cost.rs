//! What opening a volume may cost. Whoever made the image wrote into its header how much
//! work and memory a key takes, so that is added up before anything is derived.

use super::{Derivation, Header, Recipe};
use crate::error::{Error, ErrorKind, Result};

/// Most hashes of PBKDF2 that all key slots and digests together may take: iterations, times
/// the length of what is derived in hashes. It is what cryptsetup asks of a few slots of
/// LUKS1, on a fast machine: some seconds of work.
const HASHES_MAX: u64 = 32_000_000;
/// Most memory that one derivation by Argon2 may take, in KiB: what cryptsetup takes by default.
const MEMORY_MAX_KIB: u64 = 1 << 20;
/// Most memory that Argon2 may fill in all passes over all key slots together, in KiB.
const FILLED_MAX_KIB: u64 = 16 << 20;

/// The sum over all key slots, each with the digest that tells whether its key is the right one.
#[derive(Clone, Copy, Default)]
struct Cost {
    hashes: u64,
    memory_kib: u64,
    filled_kib: u64,
}

impl Header {
    /// An error of [`ErrorKind::Cost`] where trying every key slot takes more than 32 million
    /// hashes of PBKDF2, 1 GiB of memory or 16 GiB that Argon2 fills. Nothing is derived.
    pub fn require_cheap(&self) -> Result<()> {
        let mut cost = Cost::default();
        for recipe in self.slots.iter().filter_map(|slot| slot.recipe.as_ref().ok()) {
            cost.add_digest(self);
            cost.add(recipe);
        }
        let Cost { hashes, memory_kib, filled_kib } = cost;
        let fault = if hashes > HASHES_MAX {
            format!("{hashes} hashes of pbkdf2, at most {HASHES_MAX}")
        } else if memory_kib > MEMORY_MAX_KIB {
            format!("{memory_kib} KiB of memory for argon2, at most {MEMORY_MAX_KIB} KiB")
        } else if filled_kib > FILLED_MAX_KIB {
            format!("argon2 over {filled_kib} KiB in all, at most {FILLED_MAX_KIB} KiB")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Cost, format!("to open it would take {fault} are allowed")))
    }
}

impl Cost {
    fn add_digest(&mut self, header: &Header) {
        let digest = &header.digest;
        self.add_hashes(digest.iterations, digest.value.len().div_ceil(digest.hash.bytes()));
    }

    fn add(&mut self, recipe: &Recipe) {
        match recipe.derivation {
            Derivation::Pbkdf2 { hash, iterations } => {
                self.add_hashes(iterations, recipe.area_key_bytes.div_ceil(hash.bytes()));
            }
            Derivation::Argon2 { passes, memory_kib, .. } => {
                let memory_kib = u64::from(memory_kib);
                let filled_kib = memory_kib.saturating_mul(u64::from(passes));
                self.memory_kib = self.memory_kib.max(memory_kib);
                self.filled_kib = self.filled_kib.saturating_add(filled_kib);
            }
        }
    }

    fn add_hashes(&mut self, iterations: u32, blocks: usize) {
        let hashes = u64::from(iterations).saturating_mul(blocks as u64);
        self.hashes = self.hashes.saturating_add(hashes);
    }
}
