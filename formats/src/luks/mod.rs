//! LUKS1 and LUKS2 around any image: what is written passes through encrypted, in one
//! go, behind a header with one key slot. And a reader of both.
//!
//! AES-256-XTS with the sector's number as the tweak ("plain64"), and one key slot of
//! 4000 stripes, as cryptsetup, QEMU (LUKS1 only) and Linux's dm-crypt read it. Nothing is
//! authenticated: who can change the image can change what a guest reads, in pieces of 16
//! bytes, though not to what they would like.
//!
//! All random bytes are given: the same again make the same volume.

pub mod format;
mod kdf;
mod plan;
mod read;
mod stripes;
mod write;
mod xts;

pub use plan::{Kdf, Label, Options, Plan, RANDOM_BYTES, Version};
pub use read::{Header, Reader, Slot};
pub use write::Writer;
pub use xts::VolumeKey;
