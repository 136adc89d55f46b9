//! Images that are made of images: what becomes of a tree on its way through a reader.

use std::ops::Range;
use std::sync::Arc;

use credimg_formats::read::{Limits, Reader, into_tree, open};
use credimg_formats::{Image, Timestamp, Tree, erofs, iso9660, squashfs};

use crate::support::generator::{Shape, generate};
use crate::support::host::Scratch;
use crate::support::{BUILD_TIME, assert_same, walk};

/// What EROFS holds.
pub(crate) fn erofs_shape() -> Shape {
    Shape {
        common_time: BUILD_TIME,
        odd_times: [(0, 0), (-1, 999_999_999), (1 << 40, 1), (1_700_000_000, 5)]
            .map(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds).unwrap()),
        block: 4096,
        xattrs: true,
        iso9660_names: false,
        target_max_bytes: 4095,
    }
}

/// What all formats hold. Targets are as long as readers of SquashFS take them.
pub(crate) fn common_shape() -> Shape {
    let odd = [0, 1, 2, 0x7fff_ffff];
    Shape {
        odd_times: odd.map(Timestamp::from_seconds),
        xattrs: false,
        iso9660_names: true,
        ..erofs_shape()
    }
}

/// Writes a tree in a format, always with the same options.
pub(crate) fn write(format: &str, tree: &Tree) -> Vec<u8> {
    let plan: Box<dyn Image> = match format {
        "erofs" => {
            let options = erofs::Options::new().build_time(BUILD_TIME).uuid([7; 16]);
            Box::new(erofs::Plan::new(tree, options).unwrap())
        }
        "squashfs" => {
            let options = squashfs::Options::new().build_time(BUILD_TIME);
            Box::new(squashfs::Plan::new(tree, options).unwrap())
        }
        _ => {
            let options = iso9660::Options::new().build_time(BUILD_TIME);
            Box::new(iso9660::Plan::new(tree, options).unwrap())
        }
    };
    let mut image = Vec::new();
    plan.write(&mut image).unwrap();
    image
}

/// The tree of an image.
fn tree_of(image: Vec<u8>) -> Tree {
    let limits = Limits::for_image(image.len() as u64);
    let reader: Arc<dyn Reader> = Arc::from(open(Box::new(image), limits).unwrap());
    into_tree(&reader, limits).unwrap()
}

/// Packs the trees of these seeds again, in their own format: each byte is where it was.
/// Returns how many there were.
pub(crate) fn compare(format: &str, seeds: Range<u64>) -> usize {
    let shape = if format == "erofs" { erofs_shape() } else { common_shape() };
    let mut compared = 0;
    for seed in seeds {
        let (tree, _) = generate(seed, shape);
        let image = write(format, &tree);
        let again = write(format, &tree_of(image.clone()));
        assert!(image == again, "{format}: seed {seed}: not the same bytes");
        compared += 1;
    }
    compared
}

#[test]
fn an_image_that_is_packed_again_is_the_same_bytes() {
    for format in FORMATS {
        assert_eq!(compare(format, 0..30), 30);
    }
}

/// Each format from each other, as Linux shows it.
#[test]
fn an_image_of_another_format_holds_what_its_tree_held() {
    let scratch = Scratch::new("readers-repack");
    let mut judged = 0;
    for seed in 100..104 {
        let (tree, listing) = generate(seed, common_shape());
        for from in FORMATS {
            let old = write(from, &tree);
            for to in ["erofs", "squashfs"] {
                let path = scratch.path(to);
                std::fs::write(&path, write(to, &tree_of(old.clone()))).unwrap();
                let judge = format!("from {from} to {to}");
                scratch.mounted(to, &path, |root| {
                    assert_same(seed, &judge, &listing, &walk(root, true));
                });
                judged += 1;
            }
        }
    }
    assert_eq!(judged, 4 * 2 * FORMATS.len());
}

pub(crate) const FORMATS: [&str; 3] = ["erofs", "squashfs", "iso9660"];
