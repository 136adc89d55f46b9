//! LUKS1 and LUKS2 around any image: what is written passes through encrypted, in one
//! go, behind a header with one key slot. And a reader of both.
//!
//! AES-256-XTS with the sector's number as the tweak ("plain64"), and one key slot of
//! 4000 stripes, as cryptsetup, QEMU (LUKS1 only) and Linux's dm-crypt read it. Nothing is
//! authenticated: who can change the image can change what a guest reads, in pieces of 16
//! bytes, though not to what they would like.
//!
//! All random bytes are given: the same again make the same volume.
//!
//! ```
//! use std::io::{Cursor, Read};
//!
//! use credimg_formats::luks::{Header, Kdf, Options, Plan, RANDOM_BYTES, Version, VolumeKey};
//! use credimg_formats::{Metadata, Secret, Tree, erofs};
//!
//! // From the system's random source, in earnest: these two for one volume alone.
//! let (key, random) = (std::array::from_fn(|at| at as u8), vec![7; RANDOM_BYTES]);
//! let (volume_key, random) = (VolumeKey::new(&key)?, Secret::from(random));
//! let passphrase = Secret::from("as random as a key of 256 bits");
//! let options = Options::new(Version::Luks2, &passphrase, &volume_key, &random)
//!     .label("SECRETS".parse()?)
//!     // Not for what a person can remember: leave it out there.
//!     .kdf(Kdf::FOR_RANDOM_KEY);
//! let tree = Tree::new(Metadata::default());
//! let image = erofs::Plan::new(&tree, erofs::Options::new())?;
//! let mut volume = Vec::new();
//! Plan::new(options)?.write(&image, &mut volume)?;
//!
//! let mut volume = Cursor::new(volume);
//! let header = Header::read(&mut volume)?;
//! let mut plain = Vec::new();
//! header.open(volume, passphrase.expose())?.read_to_end(&mut plain)?;
//! assert_eq!(plain.len() as u64, image.size_bytes());
//! # Ok::<(), credimg_formats::Error>(())
//! ```

pub mod format;
mod kdf;
mod plan;
mod read;
mod stripes;
mod version;
mod write;
mod xts;

pub use plan::{Kdf, Label, Options, Plan, RANDOM_BYTES};
pub use read::{Header, Reader, Slot, account};
pub use version::Version;
pub use write::Writer;
pub use xts::VolumeKey;
