//! The hash of a block with its salt.

use sha2::{Digest, Sha256, Sha512};

use super::options::Algorithm;

/// Hashes blocks.
pub(super) struct Hasher {
    /// The state of the hash before a block: the salt is hashed already, if it comes first.
    start: State,
    /// The salt that comes behind a block.
    salt_behind: Vec<u8>,
}

enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// Hashes the salt before every block.
    pub(super) fn with_salt_before(algorithm: Algorithm, salt: &[u8]) -> Self {
        let start = match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new_with_prefix(salt)),
            Algorithm::Sha512 => State::Sha512(Sha512::new_with_prefix(salt)),
        };
        Self { start, salt_behind: Vec::new() }
    }

    /// Hashes the salt behind every block.
    pub(super) fn with_salt_behind(algorithm: Algorithm, salt: &[u8]) -> Self {
        Self { salt_behind: salt.to_vec(), ..Self::with_salt_before(algorithm, &[]) }
    }

    /// Appends the hash of `block` to `digests`.
    pub(super) fn append(&self, block: &[u8], digests: &mut Vec<u8>) {
        match &self.start {
            State::Sha256(start) => digests.extend(finish(start, block, &self.salt_behind)),
            State::Sha512(start) => digests.extend(finish(start, block, &self.salt_behind)),
        }
    }

    /// The hash of `block`.
    pub(super) fn hash(&self, block: &[u8]) -> Vec<u8> {
        let mut digest = Vec::new();
        self.append(block, &mut digest);
        digest
    }
}

fn finish<D: Digest + Clone>(start: &D, block: &[u8], salt: &[u8]) -> sha2::digest::Output<D> {
    start.clone().chain_update(block).chain_update(salt).finalize()
}
