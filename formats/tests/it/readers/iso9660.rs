//! The reader of ISO 9660.

pub(crate) mod coverage;
mod disk;
pub(crate) mod foreign;
mod oddities;
pub(crate) mod own;

#[test]
fn our_own_images_of_40_trees_are_read() {
    assert_eq!(own::compare(0..40), 40);
}

#[test]
fn images_of_genisoimage_and_xorriso_are_read() {
    assert_eq!(foreign::compare("iso9660-foreign", 0..2), 2 * 18);
}
