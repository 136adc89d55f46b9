//! Userspace writers for read-only file system images.
//!
//! A [`tree::Tree`] is turned into a plan of one format; only a plan can be
//! written, and writing fails only on I/O or on a source that changed.
//!
//! Invariant: this crate knows no clock, no random source, no environment and
//! no host path. The same tree and options give the same bytes.

#![cfg_attr(
    not(all(feature = "erofs", feature = "iso9660", feature = "luks", feature = "squashfs")),
    allow(dead_code, reason = "what formats share that are left out")
)]

mod calendar;
pub mod content;
#[cfg(any(feature = "erofs", feature = "squashfs"))]
mod duplicates;
#[cfg(feature = "erofs")]
pub mod erofs;
pub mod error;
#[cfg(feature = "iso9660")]
#[doc(hidden)]
pub mod fuzzing;
mod image;
#[cfg(feature = "iso9660")]
pub mod iso9660;
#[cfg(feature = "luks")]
pub mod luks;
#[cfg(all(feature = "erofs", feature = "iso9660", feature = "luks", feature = "squashfs"))]
pub mod probe;
pub mod signature;
mod sinks;
#[cfg(feature = "squashfs")]
pub mod squashfs;
pub mod tree;
mod uuid;
#[cfg(any(feature = "luks", feature = "squashfs"))]
mod wipe;
pub mod xattrs;
mod zeros;

pub use calendar::DateTime;
pub use content::{Buffer, Content, Secret, Sink, Source};
pub use error::{Error, ErrorKind, Result};
pub use image::Image;
pub use sinks::ForwardOnly;
pub use tree::{Device, Entries, Inode, InodeId, Kind, Metadata, Name, Timestamp, Tree, Xattrs};
pub use uuid::uuid_text;
#[cfg(any(feature = "luks", feature = "squashfs"))]
pub use wipe::without_traces;
