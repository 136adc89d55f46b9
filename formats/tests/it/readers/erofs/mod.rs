//! The reader of EROFS: what it sees of our images is what was put into them, and of those of
//! mkfs.erofs what Linux sees.

pub(crate) mod bytes;
pub(crate) mod compressed;
pub(crate) mod foreign;
pub(crate) mod trees;

use credimg_formats::erofs::Reader;
use credimg_formats::read::Limits;

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
