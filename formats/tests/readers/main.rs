//! The readers: what they see of images is what the reference tools and Linux see, and what
//! is broken ends in an error.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a panic is how a test fails, and its numbers are small"
)]

#[path = "../support/alone.rs"]
mod alone;
mod blind;
mod differences;
mod erofs;
mod flips;
mod goldens;
mod hostile;
mod iso9660;
mod listing;
#[path = "../support/memory.rs"]
mod memory;
mod repack;
mod squashfs;
#[expect(dead_code, reason = "not all of it is for readers")]
#[path = "../support/mod.rs"]
mod support;
mod told;
#[path = "../squashfs_readers/tools.rs"]
#[expect(dead_code, reason = "those that write are used here")]
mod tools;
mod valid;
mod whole;
