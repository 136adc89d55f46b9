//! Our own images.

use credimg_formats::erofs::format::{SUPER_OFFSET_BYTES, checksum};
use credimg_formats::erofs::{Label, Options, Plan};
use credimg_formats::read::Reader as _;
use credimg_formats::{Format, Timestamp, Tree};

use crate::readers::erofs::{bytes, open, seen};
use crate::support::generator::{Shape, generate};
use crate::support::{BUILD_TIME, Listing, assert_same, file, plain};

/// Seconds and nanoseconds.
const ODD_TIMES: [(i64, u32); 4] =
    [(0, 0), (1, 999_999_999), (-0x8000_0000, 1), (0x1_0000_0000, 0)];

/// A generated tree, and what has to be seen of it. Some tools hold no names of 255 bytes.
pub(crate) fn tree(seed: u64, has_longest_names: bool) -> (Tree, Listing) {
    let shape = Shape {
        common_time: BUILD_TIME,
        odd_times: ODD_TIMES
            .map(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds).unwrap()),
        block: 4096,
        xattrs: !seed.is_multiple_of(3),
        iso9660_names: !has_longest_names,
        target_max_bytes: 4095,
    };
    generate(seed, shape)
}

/// The image of a tree by our writer.
pub(crate) fn image(tree: &Tree) -> Vec<u8> {
    let label = Label::new(b"CHIMERA").unwrap();
    let options = Options::new().label(label).uuid([7; 16]).build_time(BUILD_TIME);
    let mut image = Vec::new();
    Plan::new(tree, options).unwrap().write(&mut image).unwrap();
    image
}

/// Reads the images of these trees; returns how many.
pub(crate) fn compare(seeds: std::ops::Range<u64>) -> usize {
    seeds
        .map(|seed| {
            let (tree, expected) = tree(seed, true);
            let image = image(&tree);
            bytes::check(&format!("seed {seed}"), &image);
            assert_same(seed, "the reader", &expected, &seen(image));
        })
        .count()
}

#[test]
fn our_images_of_40_trees_are_read_as_they_were_put_together() {
    assert_eq!(compare(0..40), 40);
}

#[test]
fn an_image_tells_what_it_is() {
    let (tree, _) = tree(1, true);
    let image = image(&tree);
    let (length, inodes) = (image.len() as u64, tree.len() as u64);
    let reader = open(image);
    let facts = reader.facts();
    assert_eq!(facts.format, Format::Erofs);
    assert_eq!(facts.label, b"CHIMERA");
    assert_eq!(facts.uuid.as_deref(), Some("07070707-0707-0707-0707-070707070707"));
    assert_eq!(facts.build_time, Some(BUILD_TIME));
    assert_eq!((facts.block_bytes, facts.used_bytes), (4096, length));
    assert_eq!((facts.inodes, facts.compression), (Some(inodes), None));
    assert_eq!(facts.features, ["sb_csum", "mtime"]);
}

#[test]
fn blocks_of_up_to_64_kib_are_read() {
    // Without whole blocks of content an image says nothing in blocks but its length, and what
    // does not cross one of 4096 bytes crosses no larger one. No tool makes such images where
    // pages are smaller.
    let mut tree = Tree::new(plain(0o755));
    for index in 0..40 {
        let path = format!("d{}/f{index}", index % 3);
        tree.insert_at(path, plain(0o400), file(&[index; 300]), &plain(0o755)).unwrap();
    }
    let image = image(&tree);
    let expected = seen(image.clone());
    assert_eq!(expected.len(), 44);
    for bits in 13..=16_u8 {
        let mut large = image.clone();
        large.resize(64 << 10, 0);
        large[SUPER_OFFSET_BYTES + 12] = bits;
        let blocks = (64_u32 << 10) >> bits;
        large[SUPER_OFFSET_BYTES + 36..][..4].copy_from_slice(&blocks.to_le_bytes());
        let covered = &mut large[SUPER_OFFSET_BYTES..1 << bits];
        covered[4..8].fill(0);
        let sum = checksum(covered);
        covered[4..8].copy_from_slice(&sum.to_le_bytes());
        bytes::check(&format!("blocks of 2^{bits}"), &large);
        assert_same(u64::from(bits), "the reader", &expected, &seen(large));
    }
}
