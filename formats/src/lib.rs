//! Userspace writers for read-only file system images.
//!
//! A [`tree::Tree`] is turned into a plan of one format; only a plan can be
//! written, and writing fails only on I/O or on a source that changed.
//!
//! Invariant: this crate knows no clock, no random source, no environment and
//! no host path. The same tree and options give the same bytes.

mod calendar;
pub mod content;
mod duplicates;
pub mod erofs;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod iso9660;
pub mod luks;
pub mod probe;
pub mod signature;
mod sinks;
pub mod squashfs;
pub mod tree;
mod uuid;
mod wipe;
pub mod xattrs;
mod zeros;

pub use calendar::DateTime;
pub use content::{Buffer, Content, Secret, Sink, Source};
pub use error::{Error, ErrorKind, Result};
pub use sinks::ForwardOnly;
pub use tree::{Device, Entries, Inode, InodeId, Kind, Metadata, Name, Timestamp, Tree, Xattrs};
pub use uuid::uuid_text;
pub use wipe::without_traces;
