//! The reader of SquashFS over many trees: in our images, and in those of other tools.

use crate::readers::squashfs::{foreign, trees};

#[test]
fn trees_500_come_back() {
    let counts = trees::come_back(0..504);
    assert_eq!(counts, [63; 8]);
}

#[test]
fn images_510_of_other_tools_are_read() {
    let counts = foreign::compare(0..510);
    assert_eq!(counts, [17; 30]);
}
