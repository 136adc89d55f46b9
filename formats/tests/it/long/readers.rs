//! What is built on the readers, over many trees.

use crate::readers::{flips, repack, whole};

#[test]
fn images_of_500_trees_that_are_packed_again_are_the_same_bytes() {
    for format in repack::FORMATS {
        assert_eq!(repack::compare(format, 0..500), 500);
    }
}

/// A bit in each of 2,000 images a format: found by `verify`, by `diff`, by comparing dumps.
#[test]
fn flipped_bits_of_2000_images_are_found_unless_the_field_may_hold_any_value() {
    let counts = flips::counts(&(0..500), 4);
    assert_eq!(counts, [[1301, 687, 12], [1247, 647, 88], [1351, 475, 174]]);
}

#[test]
fn every_byte_of_500_images_stands_in_one_line() {
    for format in repack::FORMATS {
        assert_eq!(whole::account(format, 0..500).len(), 3);
    }
}
