//! Images of our own writer.

use credimg_formats::Tree;
use credimg_formats::iso9660::{Options, Plan, Reader, VolumeId};
use credimg_formats::read::{Limits, Reader as _};

use super::coverage;
use crate::iso9660::shape;
use crate::readers::listing::listing;
use crate::support::generator::generate;
use crate::support::{BUILD_TIME, assert_same};

fn image_of(tree: &Tree, joliet: bool) -> Vec<u8> {
    let volume_id = VolumeId::new(b"cidata").unwrap();
    let options =
        Options::new().volume_id(volume_id).build_time(BUILD_TIME).joliet(joliet).lossy(joliet);
    let mut image = Vec::new();
    Plan::new(tree, options).unwrap().write(&mut image).unwrap();
    image
}

/// Writes the trees of these seeds, every other one with Joliet, and reads them; returns how
/// many there were.
pub(crate) fn compare(seeds: std::ops::Range<u64>) -> usize {
    let mut count = 0;
    for seed in seeds {
        let (tree, expected) = generate(seed, shape());
        let image = image_of(&tree, seed % 2 == 0);
        let limits = Limits::for_image(image.len() as u64);
        let reader = Reader::open(Box::new(image.clone()), limits).unwrap();
        assert_eq!(reader.facts().label, b"cidata");
        assert_same(seed, "the reader", &expected, &listing(&reader));
        assert_eq!(coverage::faults(&reader, &image), Vec::<String>::new(), "seed {seed}");
        count += 1;
    }
    count
}
