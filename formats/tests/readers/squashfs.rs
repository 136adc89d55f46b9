//! The reader of SquashFS: what it sees of our images is what was put into them, and of those of
//! mksquashfs and gensquashfs what Linux sees.

pub(crate) mod bytes;
pub(crate) mod trees;

use credimg_formats::read::Limits;
use credimg_formats::squashfs::Reader;

use crate::listing::listing;
use crate::support::Listing;

/// What the reader sees of an image.
pub(crate) fn seen(image: Vec<u8>) -> Listing {
    listing(&open(image))
}

pub(crate) fn open(image: Vec<u8>) -> Reader {
    let limits = Limits::for_image(image.len() as u64);
    Reader::open(Box::new(image), limits).unwrap()
}
