//! Campaigns over many images, each of which takes over a minute. `make test-long` runs
//! them; `make test` has a small part of each.

mod blkid;
mod mutations;
mod readers;
mod readers_erofs;
mod readers_iso9660;
mod readers_squashfs;
mod squashfs;
mod verity;

use crate::tree::insertion;

/// Each tree in five orders of insertion: no byte of any format, and no error, depends on it.
#[test]
fn trees_500_in_five_orders_of_insertion() {
    let (images, errors) = insertion::compare(0..500);
    assert_eq!((images, errors), (2024, 1476), "images and errors");
}
