//! Hashes and the derivation of keys: PBKDF2 (RFC 8018 5.2) and Argon2 (RFC 9106).

use argon2::{Algorithm, Argon2, Block, Params};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// Most memory that Argon2 may be given, in KiB: cryptsetup's own limit.
pub(super) const ARGON2_MEMORY_MAX_KIB: u32 = 4 << 20;
/// Most lanes: cryptsetup's own limit.
pub(super) const ARGON2_LANES_MAX: u32 = 4;

/// A hash, as headers name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    /// The hash of that name; other names are [`ErrorKind::Unsupported`].
    pub(super) fn named(name: &str) -> Result<Self> {
        match name {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => {
                let message = format!("the hash {} is not supported", name.escape_debug());
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of its output.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// PBKDF2 with HMAC of this hash.
    pub(super) fn pbkdf2(self, secret: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
        match self {
            Self::Sha256 => pbkdf2_hmac::<Sha256>(secret, salt, iterations, out),
            Self::Sha512 => pbkdf2_hmac::<Sha512>(secret, salt, iterations, out),
        }
    }

    /// Replaces each piece as long as the hash by the hash of its number and itself;
    /// a shorter last piece by as much of it (LUKS1 2.4, H1).
    pub(super) fn diffuse(self, state: &mut [u8]) {
        match self {
            Self::Sha256 => diffuse::<Sha256>(state),
            Self::Sha512 => diffuse::<Sha512>(state),
        }
    }
}

fn diffuse<D: Digest>(state: &mut [u8]) {
    for (number, piece) in (0_u32..).zip(state.chunks_mut(<D as Digest>::output_size())) {
        let digest = D::new().chain_update(number.to_be_bytes()).chain_update(&*piece).finalize();
        for (to, from) in piece.iter_mut().zip(digest) {
            *to = from;
        }
    }
}

/// Argon2 1.3 without a secret or associated data. Values that it does not take, or
/// memory that there is not, are [`ErrorKind::Limit`].
pub(super) fn argon2(
    algorithm: Algorithm,
    (passes, memory_kib, lanes): (u32, u32, u32),
    secret: &[u8],
    salt: &[u8],
    out: &mut [u8],
) -> Result<()> {
    let refused = |_| Error::new(ErrorKind::Limit, "argon2 does not take these parameters");
    if memory_kib > ARGON2_MEMORY_MAX_KIB || lanes > ARGON2_LANES_MAX {
        let message = format!("argon2 with {memory_kib} KiB and {lanes} lanes is over the limit");
        return Err(Error::new(ErrorKind::Limit, message));
    }
    let params = Params::new(memory_kib, passes, lanes, Some(out.len())).map_err(refused)?;
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(params.block_count()).map_err(|_| {
        Error::new(ErrorKind::Limit, format!("there are no {memory_kib} KiB of memory for argon2"))
    })?;
    memory.resize(params.block_count(), Block::new());
    let argon2 = Argon2::new(algorithm, argon2::Version::V0x13, params);
    argon2.hash_password_into_with_memory(secret, salt, out, &mut *memory).map_err(refused)
}
