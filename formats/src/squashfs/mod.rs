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
//! start](crate::Sink::rewrite) once, at the end. A pipe cannot: write into memory or a file,
//! and copy that.
//!
//! ```
//! use credimg_formats::squashfs::{BlockSize, Options, Plan};
//! use credimg_formats::{Metadata, Mode, Tree};
//!
//! let tree = Tree::new(Metadata { mode: Mode::of::<0o755>(), ..Metadata::default() });
//! let options = Options::new()
//!     .compression("zstd:19".parse()?)
//!     .block_size(BlockSize::new(1 << 20)?)
//!     // A time of the tree may have a fraction of a second.
//!     .cut_fractions(true);
//! let mut image = Vec::new();
//! let size_bytes = Plan::new(&tree, options)?.write(&mut image)?;
//! assert_eq!(image.len() as u64, size_bytes);
//! # Ok::<(), credimg_formats::Error>(())
//! ```

mod compression;
mod data;
mod directory;
pub mod format;
mod inode;
mod metadata;
mod plan;
mod queue;
mod read;
mod write;
mod xattr;

pub use crate::compress::Compression;
pub use plan::{BlockSize, Options, Plan};
pub use read::Reader;
pub use xattr::xattr_faults;
