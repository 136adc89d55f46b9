//! Images judged by blkid, which makes the guest's links by label: whatever stands in an
//! image, it is of its own format and of no other. A missing tool fails the test; `make
//! setup` installs them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a panic is how a test fails, and its numbers are small"
)]

mod content;
mod counts;
mod fields;
mod judge;
#[expect(dead_code, reason = "blkid does not list what is in an image")]
#[path = "../support/mod.rs"]
mod support;
