//! Campaigns over many images, each of which takes over a minute. `make test-long` runs
//! them; `make test` has a small part of each.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a panic is how a test fails, and its numbers are small"
)]

mod blkid;
#[expect(dead_code, reason = "campaigns say what is right, not what is wrong")]
#[path = "../blkid/judge.rs"]
mod judge;
#[expect(dead_code, reason = "blkid does not list what is in an image")]
#[path = "../support/mod.rs"]
mod support;
