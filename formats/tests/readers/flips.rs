//! One byte of an image is another one, at random: `verify` finds it wherever it lies in a
//! record, a checksum or padding. Where the field may hold any value, nothing can tell without
//! the original, and `diff` against that shows it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use credimg_formats::read::{Comparison, Limits, diff};

use crate::repack::{FORMATS, common_shape, erofs_shape, write};
use crate::support::generator::{Random, generate};
use crate::whole::{class, dumped, lines, read, verified};

/// How a flip is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    /// Opening the image, or verifying it.
    Verify,
    /// Only comparing it with the original.
    Diff,
    Never,
}

/// Flips of one format: how many there are of each class, and how they were found.
pub(crate) fn flip(format: &str, seeds: Range<u64>, flips: u64) -> BTreeMap<(String, Found), u64> {
    let shape = if format == "erofs" { erofs_shape() } else { common_shape() };
    let mut counts = BTreeMap::new();
    for seed in seeds {
        let (tree, _) = generate(seed, shape);
        let image = Arc::new(write(format, &tree));
        let text = dumped(&image);
        let lines = lines(&text);
        let mut random = Random::new(seed);
        for _ in 0..flips {
            // Each class as often as the others, however many bytes it has.
            let classes = ["content", "field", "field", "padding", "packed record"];
            let wanted = random.pick(&classes);
            let of_class: Vec<_> = lines.iter().filter(|line| class(line.1) == wanted).collect();
            if of_class.is_empty() {
                continue;
            }
            let (range, what) = of_class[random.below(of_class.len() as u64) as usize];
            let at = range.start + random.below(range.len() as u64) as usize;
            let mut flipped = image.to_vec();
            flipped[at] ^= 1 << random.below(8);
            let found = found(&image, &Arc::new(flipped));
            let name = match class(what) {
                "field" => what.split(':').next().unwrap_or_default().to_owned(),
                class => class.to_owned(),
            };
            *counts.entry((name, found)).or_default() += 1;
        }
    }
    counts
}

fn found(original: &Arc<Vec<u8>>, flipped: &Arc<Vec<u8>>) -> Found {
    match verified(flipped) {
        Ok(report) if report.problems.is_empty() => {}
        Ok(_) | Err(_) => return Found::Verify,
    }
    let (old, new) = (read(original).unwrap(), read(flipped).unwrap());
    let limits = Limits::for_image(original.len() as u64);
    let (old, new) = ((&*old, limits), (&*new, limits));
    match diff(old, new, &Comparison::new(), &mut |_| Ok(())) {
        Ok(0) => Found::Never,
        Ok(_) | Err(_) => Found::Diff,
    }
}

#[test]
fn a_flipped_byte_is_found() {
    for format in FORMATS {
        for ((name, found), count) in flip(format, 0..3, 40) {
            if found != Found::Verify {
                eprintln!("{format}: {name}: {found:?}: {count}");
            }
        }
    }
}
