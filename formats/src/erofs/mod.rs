//! EROFS: the Enhanced Read-Only File System, uncompressed, with a volume label.
//!
//! Data layouts flat plain and flat inline, compact and extended inodes, inline
//! xattrs, superblock checksum; equal files share their blocks. No incompatible feature: Linux 5.4 mounts it.

mod directory;
mod emit;
pub mod format;
mod inode;
mod plan;
mod shared;
mod write;
mod xattr;

pub use plan::{Label, Options, Plan};
pub use xattr::xattr_faults;
