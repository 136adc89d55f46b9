//! The reader of SquashFS: what it sees of our images is what was put into them, and of those of
//! mksquashfs and gensquashfs what Linux sees.

pub(crate) mod foreign;
pub(crate) mod trees;

use credimg_formats::read::{Limits, verify};
use credimg_formats::squashfs::Reader;

use crate::readers::listing::listing;
use crate::support::Listing;

/// What the reader sees of an image.
pub(crate) fn seen(image: Vec<u8>) -> Listing {
    listing(&open(image))
}

pub(crate) fn open(image: Vec<u8>) -> Reader {
    let limits = Limits::for_image(image.len() as u64);
    Reader::open(Box::new(image), limits).unwrap()
}

/// Refuses an image in which something is wrong, or in which a byte is of no region.
pub(crate) fn check(what: &str, image: &[u8]) {
    let limits = Limits::for_image(image.len() as u64);
    let image = image.to_vec();
    let mut report = verify(&open(image.clone()), &image, limits).unwrap();
    // mksquashfs 4.4 leaves there what was in its memory; gensquashfs counts all entries as links.
    let known = [
        (", 4.4 ", "what is unused of the head of extended attributes is "),
        (", gensquashfs ", ": the link count is "),
    ];
    report.problems.kept.retain(|problem| {
        !known.iter().any(|(who, fault)| what.contains(who) && problem.message.contains(fault))
    });
    assert_eq!(report.problems.kept, [], "{what}");
    let told = report.record_bytes + report.content_bytes + report.padding_bytes;
    assert_eq!(told, image.len() as u64, "{what}");
}
