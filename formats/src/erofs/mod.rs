//! EROFS: the Enhanced Read-Only File System, uncompressed, with a volume label.
//!
//! Data layouts flat plain and flat inline, compact and extended inodes, inline
//! xattrs, superblock checksum; equal files share their blocks. No incompatible feature:
//! Linux 5.4 mounts it.
//!
//! ```
//! use credimg_formats::{Metadata, Mode, Timestamp, Tree, erofs};
//!
//! let tree = Tree::new(Metadata { mode: Mode::of::<0o755>(), ..Metadata::default() });
//! let options = erofs::Options::new()
//!     .label("SECRETS".parse()?)
//!     .uuid(*b"sixteen of those")
//!     .build_time(Timestamp::from_seconds(1_700_000_000));
//! let plan = erofs::Plan::new(&tree, options)?;
//! let mut image = Vec::new();
//! assert_eq!(plan.write(&mut image)?, plan.size_bytes());
//! # Ok::<(), credimg_formats::Error>(())
//! ```

mod directory;
mod emit;
pub mod format;
mod inode;
mod plan;
mod read;
mod shared;
mod write;
mod xattr;

pub use plan::{Label, Options, Plan};
pub use read::Reader;
pub use xattr::xattr_faults;
