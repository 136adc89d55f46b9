//! SquashFS 4.0, uncompressed or compressed with gzip, lz4, xz or zstd.
//!
//! Basic and extended inodes, fragments, export table, id table, shared xattrs,
//! directory indexes, holes for blocks that are all zero, duplicate files stored
//! once. An image has neither a label nor a UUID: a guest finds it by the
//! drive's serial.
//!
//! File data is written first and the tables behind it, as Linux wants them in
//! that order; where the tables are is in the superblock, at the very start. So
//! a sink of these images must be able to [rewrite its
//! start](crate::Sink::rewrite) once, at the end.

mod compress;
mod data;
mod directory;
pub mod format;
mod inode;
mod metadata;
mod plan;
mod queue;
mod write;
mod xattr;

pub use compress::Compression;
pub use plan::{BlockSize, Options, Plan};
pub use xattr::xattr_faults;
