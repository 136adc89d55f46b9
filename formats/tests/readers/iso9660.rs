//! The reader of ISO 9660.

mod coverage;

use credimg_formats::iso9660::{Options, Plan, Reader, VolumeId};
use credimg_formats::read::{Limits, Reader as _};
use credimg_formats::{Timestamp, Tree};

use crate::listing::listing;
use crate::support::generator::{Shape, generate};
use crate::support::{BUILD_TIME, assert_same};

/// What ISO 9660 holds and Linux reads from it: whole seconds of 32 bits with a sign.
pub(crate) fn shape() -> Shape {
    let odd = [0, -2, i64::from(i32::MIN), i64::from(i32::MAX)];
    Shape {
        common_time: BUILD_TIME,
        odd_times: odd.map(|seconds| Timestamp { seconds, nanoseconds: 0 }),
        block: 2048,
        xattrs: false,
        iso9660_names: true,
        target_max_bytes: 4095,
    }
}

pub(crate) fn image_of(tree: &Tree, joliet: bool) -> Vec<u8> {
    let volume_id = VolumeId::new(b"cidata").unwrap();
    let options =
        Options::new().volume_id(volume_id).build_time(BUILD_TIME).joliet(joliet).lossy(joliet);
    let mut image = Vec::new();
    Plan::new(tree, options).unwrap().write(&mut image).unwrap();
    image
}

pub(crate) fn open(image: Vec<u8>) -> Reader {
    let limits = Limits::for_image(image.len() as u64);
    Reader::open(Box::new(image), limits).unwrap()
}

#[test]
fn our_own_images_of_40_trees_are_read() {
    for seed in 0..40 {
        let (tree, expected) = generate(seed, shape());
        let image = image_of(&tree, seed % 2 == 0);
        let reader = open(image.clone());
        assert_eq!(reader.facts().label, b"cidata");
        assert_same(seed, "the reader", &expected, &listing(&reader));
        assert_eq!(coverage::faults(&reader, &image), Vec::<String>::new(), "seed {seed}");
    }
}
