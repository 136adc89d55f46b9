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

#[path = "../support/alone.rs"]
mod alone;
#[path = "../squashfs_readers/bench.rs"]
mod bench;
mod blkid;
#[path = "../readers/erofs/mod.rs"]
mod erofs;
#[path = "../readers/flips.rs"]
mod flips;
#[path = "../squashfs_readers/grub.rs"]
mod grub;
#[path = "../readers/hostile/mod.rs"]
mod hostile;
#[path = "../tree/insertion.rs"]
mod insertion;
#[expect(dead_code, reason = "campaigns say what is right, not what is wrong")]
#[path = "../blkid/judge.rs"]
mod judge;
#[path = "../readers/listing.rs"]
mod listing;
#[path = "../support/memory.rs"]
mod memory;
mod mutations;
#[path = "../support/permissions.rs"]
mod permissions;
mod readers;
mod readers_erofs;
mod readers_iso9660;
mod readers_squashfs;
#[path = "../readers/repack.rs"]
mod repack;
#[path = "../squashfs_readers/seven_zip.rs"]
mod seven_zip;
mod squashfs;
#[path = "../readers/squashfs/mod.rs"]
mod squashfs_reader;
#[path = "../support/mod.rs"]
mod support;
#[path = "../readers/told.rs"]
mod told;
#[path = "../squashfs_readers/tools.rs"]
mod tools;
#[path = "../squashfs_readers/trees.rs"]
mod trees;
#[path = "../readers/whole.rs"]
mod whole;

/// Each tree in five orders of insertion: no byte of any format, and no error, depends on it.
#[test]
fn trees_500_in_five_orders_of_insertion() {
    let (images, errors) = insertion::compare(0..500);
    assert_eq!((images, errors), (2024, 1476), "images and errors");
}
