//! The tests of the crate from outside. Each module is a topic.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a panic is how a test fails, and its numbers are small"
)]

mod alone;
mod blkid;
mod erofs_reference;
mod iso9660;
#[cfg(feature = "long")]
mod long;
mod luks;
mod readers;
mod squashfs_readers;
mod squashfs_reference;
mod strangers;
mod support;
mod tree;
mod verity;
mod xattrs;
