//! What is built on the readers, over many trees.

use crate::repack;

#[test]
fn images_of_500_trees_that_are_packed_again_are_the_same_bytes() {
    for format in repack::FORMATS {
        assert_eq!(repack::compare(format, 0..500), 500);
    }
}
