//! What is built on the readers, over many trees.

use crate::{flips, repack, whole};

#[test]
fn images_of_500_trees_that_are_packed_again_are_the_same_bytes() {
    for format in repack::FORMATS {
        assert_eq!(repack::compare(format, 0..500), 500);
    }
}

/// A bit in each of some 2,000 images a format.
#[test]
fn flipped_bits_of_2000_images_are_found_unless_the_field_may_hold_any_value() {
    flips::assert_counts("erofs", 0..500, 4, [0, 0, 0]);
    flips::assert_counts("squashfs", 0..500, 4, [0, 0, 0]);
    flips::assert_counts("iso9660", 0..500, 4, [0, 0, 0]);
}

#[test]
fn every_byte_of_500_images_stands_in_one_line() {
    for format in repack::FORMATS {
        assert_eq!(whole::account(format, 0..500).len(), 3);
    }
}
