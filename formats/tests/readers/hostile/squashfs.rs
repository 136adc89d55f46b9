//! Images of SquashFS to be changed.

use credimg_formats::squashfs::{BlockSize, Options, Plan};

use super::{Format, bases};
use crate::support::BUILD_TIME;

pub(crate) const FORMAT: Format = Format {
    name: "squashfs",
    lines: include_str!("squashfs.txt"),
    count: 1,
    kept: 0,
    bases: &[("raw", || image("none")), ("gzip", || image("gzip"))],
    // Nothing has a checksum.
    mend: |_| {},
};

/// The small tree in blocks of 4 KiB.
fn image(compression: &str) -> Vec<u8> {
    let options = Options::new()
        .compression(compression.parse().unwrap())
        .block_size(BlockSize::new(4096).unwrap())
        .build_time(BUILD_TIME);
    let mut image = Vec::new();
    Plan::new(&bases::small(true), options).unwrap().write(&mut image).unwrap();
    image
}
