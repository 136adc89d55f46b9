//! Images of EROFS to be changed.

#[path = "erofs/bases.rs"]
mod others;
mod raw;

use credimg_formats::erofs::format::{BLOCK_BYTES, SUPER_OFFSET_BYTES, checksum};
use credimg_formats::erofs::{Options, Plan};

use super::{Format, bases};
use credimg_formats::Tree;

use crate::support::BUILD_TIME;

pub(crate) const FORMAT: Format = Format {
    name: "erofs",
    lines: include_str!("erofs.txt"),
    count: 127,
    kept: 0,
    bases: &[
        ("small", small),
        ("chunked", others::chunked),
        ("shared", others::shared),
        ("compressed", others::compressed),
        ("cycle", others::cycle),
        ("two_parents", others::two_parents),
        ("same_content", others::same_content),
        ("same_entries", others::same_entries),
        ("same_chunks", others::same_chunks),
        ("same_xattr", others::same_xattr),
    ],
    mend,
};

fn small() -> Vec<u8> {
    written(&bases::small(true))
}

fn written(tree: &Tree) -> Vec<u8> {
    let options = Options::new().label("CHIMERA".parse().unwrap()).build_time(BUILD_TIME);
    let mut image = Vec::new();
    Plan::new(tree, options).unwrap().write(&mut image).unwrap();
    image
}

/// Makes the superblock's checksum right.
fn mend(image: &mut [u8]) {
    if let Some(record) = image.get_mut(SUPER_OFFSET_BYTES..BLOCK_BYTES) {
        record[4..8].fill(0);
        let sum = checksum(record);
        record[4..8].copy_from_slice(&sum.to_le_bytes());
    }
}
