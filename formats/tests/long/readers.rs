//! What is built on the readers, over many trees.

use crate::repack;

#[test]
fn images_of_500_trees_that_are_packed_again_are_the_same_bytes() {
    assert_eq!(repack::compare("erofs", 0..500), 500);
    assert_eq!(repack::compare("iso9660", 0..500), 500);
}
