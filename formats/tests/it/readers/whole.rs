//! Whole images: `verify` finds nothing in a sound one, and every byte stands in one line of
//! its dump.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use credimg_formats::read::{Digests, Limits, Reader, Report, dump, open, verify};

use crate::readers::repack::{FORMATS, common_shape, erofs_shape, write};
use crate::support::generator::generate;

/// Opens an image, which others may look at as well.
pub(crate) fn read(image: &Arc<Vec<u8>>) -> credimg_formats::Result<Box<dyn Reader>> {
    open(Box::new(Arc::clone(image)), Limits::for_image(image.len() as u64))
}

pub(crate) fn verified(image: &Arc<Vec<u8>>) -> credimg_formats::Result<Report> {
    verify(&*read(image)?, image, Limits::for_image(image.len() as u64))
}

pub(crate) fn dumped(image: &Arc<Vec<u8>>) -> String {
    let mut text = Vec::new();
    dump(&*read(image).unwrap(), image, Digests::Shown, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// What each byte of an image is, by its line in a dump: the range, and the text.
pub(crate) fn lines(text: &str) -> Vec<(Range<usize>, &str)> {
    let is_line = |line: &&str| !line.is_empty() && !line.starts_with('#');
    (text.lines().filter(is_line))
        .map(|line| {
            let (offset, rest) = line.split_once(' ').unwrap();
            let (length, what) = rest.trim_start().split_once(' ').unwrap();
            let start = usize::from_str_radix(offset, 16).unwrap();
            (start..start + length.parse::<usize>().unwrap(), what)
        })
        .collect()
}

/// Verifies and dumps the images of these seeds; returns how many bytes there were of what.
pub(crate) fn account(format: &str, seeds: Range<u64>) -> BTreeMap<&'static str, usize> {
    let shape = if format == "erofs" { erofs_shape() } else { common_shape() };
    let mut bytes = BTreeMap::new();
    for seed in seeds {
        let (tree, listing) = generate(seed, shape);
        let image = Arc::new(write(format, &tree));
        let report = verified(&image).unwrap();
        assert_eq!(report.problems.kept, [], "{format}: seed {seed}");
        assert_eq!(report.paths, listing.len() as u64, "{format}: seed {seed}");
        let told = report.record_bytes + report.content_bytes + report.padding_bytes;
        assert_eq!(told, image.len() as u64, "{format}: seed {seed}");
        let (text, mut end) = (dumped(&image), 0);
        for (range, what) in lines(&text) {
            assert_eq!(range.start, end, "{format}: seed {seed}: {what}");
            assert!(!what.contains("not zero"), "{format}: seed {seed}: {what}");
            end = range.end;
            *bytes.entry(class(what)).or_default() += range.len();
        }
        assert_eq!(end, image.len(), "{format}: seed {seed}");
    }
    bytes
}

/// What a line of a dump is about.
pub(crate) fn class(what: &str) -> &'static str {
    if what.contains(": content") {
        "content"
    } else if what.contains(": record") {
        "packed record"
    } else if what.starts_with("unused") || what.starts_with("padding") {
        "padding"
    } else {
        "field"
    }
}

#[test]
fn every_byte_of_our_images_stands_in_one_line() {
    for format in FORMATS {
        let bytes = account(format, 0..30);
        assert_eq!(bytes.len(), 3, "{format}: {bytes:?}");
    }
}
