//! Our images: every tree comes back as it was put in.

use std::ops::Range;

use credimg_formats::squashfs::{BlockSize, Compression, Options, Plan};
use credimg_formats::{Timestamp, Tree};

use super::{check, seen};
use crate::support::generator::{Shape, generate};
use crate::support::{BUILD_TIME, assert_same};

const COMPRESSIONS: [&str; 8] = ["none", "gzip", "zstd", "lz4", "xz", "gzip:1", "zstd:3", "xz:0"];
/// Sizes of blocks, each with that whose multiples are the edges of files. Most are small, as
/// every edge comes with them, too, and the trees are quick to make.
const BLOCKS: [(u32, usize); 7] = [
    (4096, 4096),
    (1 << 20, 4096),
    (4096, 4096),
    (131_072, 8192),
    (8192, 8192),
    (4096, 4096),
    (32_768, 32_768),
];

#[test]
fn trees_40_come_back() {
    assert_eq!(come_back(0..40), [5; 8]);
}

/// Has the reader see the trees of these seeds, in all compressions and sizes of blocks; returns
/// how many images there were of each compression.
pub(crate) fn come_back(seeds: Range<u64>) -> [usize; COMPRESSIONS.len()] {
    let mut counts = [0; COMPRESSIONS.len()];
    for seed in seeds {
        let (tree, listing) = generate(seed, shape(seed));
        let index = seed as usize % COMPRESSIONS.len();
        let (block_bytes, _) = blocks(seed);
        let image = image(&tree, COMPRESSIONS[index], block_bytes);
        check(&format!("seed {seed}"), &image);
        assert_same(seed, COMPRESSIONS[index], &listing, &seen(image));
        counts[index] += 1;
    }
    counts
}

fn blocks(seed: u64) -> (u32, usize) {
    BLOCKS[seed as usize / COMPRESSIONS.len() % BLOCKS.len()]
}

/// Trees whose edges are those of their images' blocks.
pub(crate) fn shape(seed: u64) -> Shape {
    let seconds = [0, 1, 0x8000_0000, 0xffff_ffff];
    Shape {
        common_time: BUILD_TIME,
        odd_times: seconds.map(Timestamp::from_seconds),
        block: blocks(seed).1,
        xattrs: !seed.is_multiple_of(3),
        iso9660_names: false,
        target_max_bytes: 4095,
    }
}

pub(crate) fn image(tree: &Tree, compression: &str, block_bytes: u32) -> Vec<u8> {
    let options = Options::new()
        .compression(compression.parse::<Compression>().unwrap())
        .block_size(BlockSize::new(block_bytes).unwrap())
        .build_time(BUILD_TIME);
    let mut image = Vec::new();
    Plan::new(tree, options).unwrap().write(&mut image).unwrap();
    image
}
