//! The reader of EROFS on 500 trees: our images, and those of mkfs.erofs.

use crate::readers::erofs::{compressed, foreign, trees};

#[test]
fn our_images_of_500_trees_are_read_as_they_were_put_together() {
    assert_eq!(trees::compare(0..500), 500);
}

#[test]
fn images_of_mkfs_erofs_of_500_trees_are_read_as_linux_reads_them() {
    assert_eq!(foreign::compare("erofs-reader-foreign-500", 0..500), 1937);
}

#[test]
fn of_compressed_files_of_500_trees_all_but_the_content_is_read() {
    let (images, _) = compressed::compare("erofs-reader-compressed-500", 0..500);
    assert_eq!(images, 749);
}
