//! Hostile images: each line of `hostile/*.txt` is one change to an image of `hostile/*.rs`,
//! and the whole error in which reading it ends.
//!
//! A line has four columns: base, place, change, expected.
//!
//! The base is a function's name in the format's module. The place is `image`, or the title of
//! a region as the reader accounts for it, then ` / ` and a field's name where it is a field,
//! then ` + N` for so many bytes behind its start. A change is one of
//!
//! ```text
//! none                          the base is broken as it is made
//! hex BYTES, text CHARACTERS    these instead of what is there
//! little N, big N, both N       a number in that order, or in both; +N and -N add. It is as
//!                               long as the field, or 4 bytes (8 for both) elsewhere
//! fill N BYTE                   so many times this byte, in hex
//! truncate N, extend N          the image is shorter, or longer by zeros
//! end                           the image ends at the place
//! ```
//!
//! Places and changes may be several, in pairs, with ` ; ` between them. Checksums are made
//! right afterwards unless the changes begin with `keep-checksum: `. Expected is the error's
//! kind and text, `Corrupt: bad magic`, or what verifying the image finds first,
//! `problem at 1024: the checksum is wrong`. {old} and {new} in it are the numbers before and
//! after the last change, {size} is the image's length after it.
//!
//! Each image is opened, walked through with all metadata and content, accounted for, verified
//! and dumped; the first error is the one that counts. All of it takes at most 2 s and 64 MiB.

pub(crate) mod bases;
mod bytes;
mod counted;
mod craft;
pub(crate) mod erofs;
pub(crate) mod iso9660;
pub(crate) mod mutations;
mod read;
pub(crate) mod squashfs;

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use credimg_formats::read::{Limits, Region, open};

use crate::alone::{TIME_MAX, alone, limited, watch};

/// Makes an image.
pub(crate) type Make = fn() -> Vec<u8>;

/// What is there of one format.
pub(crate) struct Format {
    /// As in the names of files.
    pub(crate) name: &'static str,
    /// The lines.
    pub(crate) lines: &'static str,
    /// How many lines there are.
    pub(crate) count: usize,
    /// How many files there are under `kept/`: what mutations have found.
    pub(crate) kept: usize,
    /// The images by name.
    pub(crate) bases: &'static [(&'static str, Make)],
    /// Makes checksums right.
    pub(crate) mend: fn(&mut [u8]),
}

/// How many mutations `make test` has of each format.
const SAMPLE: u64 = 3000;

#[test]
fn every_hostile_erofs_image_ends_in_its_error() {
    let test = concat!(module_path!(), "::every_hostile_erofs_image_ends_in_its_error");
    alone(test, || judge(&erofs::FORMAT));
}

#[test]
fn every_hostile_squashfs_image_ends_in_its_error() {
    let test = concat!(module_path!(), "::every_hostile_squashfs_image_ends_in_its_error");
    alone(test, || judge(&squashfs::FORMAT));
}

#[test]
fn every_hostile_iso_9660_image_ends_in_its_error() {
    let test = concat!(module_path!(), "::every_hostile_iso_9660_image_ends_in_its_error");
    alone(test, || judge(&iso9660::FORMAT));
}

#[test]
fn mutations_of_erofs_are_read_or_refused() {
    let test = concat!(module_path!(), "::mutations_of_erofs_are_read_or_refused");
    mutations::run(test, &erofs::FORMAT, SAMPLE);
}

#[test]
fn mutations_of_squashfs_are_read_or_refused() {
    let test = concat!(module_path!(), "::mutations_of_squashfs_are_read_or_refused");
    mutations::run(test, &squashfs::FORMAT, SAMPLE);
}

#[test]
fn mutations_of_iso_9660_are_read_or_refused() {
    let test = concat!(module_path!(), "::mutations_of_iso_9660_are_read_or_refused");
    mutations::run(test, &iso9660::FORMAT, SAMPLE);
}

#[test]
fn what_mutations_found_ends_in_its_error() {
    let test = concat!(module_path!(), "::what_mutations_found_ends_in_its_error");
    alone(test, || {
        watch();
        for format in [&erofs::FORMAT, &squashfs::FORMAT, &iso9660::FORMAT] {
            replay(format);
        }
    });
}

/// Reads what is kept of a format.
fn replay(format: &Format) {
    let here =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/readers/kept").join(format.name);
    let mut files: Vec<_> =
        std::fs::read_dir(here).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files {
        let shown = file.display();
        eprintln!("{shown}");
        let (expected, image) = bytes::from_text(&std::fs::read_to_string(file).unwrap());
        let (got, taken) = limited(|| read::outcome(image, true));
        assert!(taken < TIME_MAX, "{shown}: takes {taken:?}");
        assert_eq!(got.as_deref().unwrap_or("nothing is found"), expected, "{shown}");
    }
    assert_eq!(files.len(), format.kept, "{}: files", format.name);
}

fn judge(format: &Format) {
    watch();
    let bases: Vec<Base> =
        format.bases.iter().map(|(name, make)| Base::new(name, make())).collect();
    let is_line = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let (mut count, mut missed) = (0, String::new());
    for line in format.lines.lines().filter(is_line) {
        // Told before, as what breaks a limit ends the process.
        eprintln!("{line}");
        count += 1;
        let columns: Vec<_> = line.split(" | ").collect();
        let [base, place, change, expected] = columns[..] else { panic!("{line}: not 4 columns") };
        let base = bases.iter().find(|known| known.name == base);
        let base = base.unwrap_or_else(|| panic!("{line}: no such base"));
        let (image, expected) = plant(format, base, place, change, expected);
        let (got, taken) = limited(|| read::outcome(image, true));
        assert!(taken < TIME_MAX, "{line}: takes {taken:?}");
        if got.as_ref() != Some(&expected) {
            let got = got.as_deref().unwrap_or("nothing is found");
            writeln!(missed, "{line}\n    got {got}").unwrap();
        }
    }
    assert!(missed.is_empty(), "{missed}");
    assert_eq!(count, format.count, "lines");
}

/// An image that is changed.
struct Base {
    name: &'static str,
    image: Vec<u8>,
    /// What its reader finds in it.
    regions: Vec<Region>,
}

impl Base {
    fn new(name: &'static str, image: Vec<u8>) -> Self {
        let size = image.len() as u64;
        let mut found = read::Found { wants_regions: true, ..read::Found::default() };
        // Those that are broken as they are made have only the place `image`.
        let regions = match open(Box::new(image.clone()), Limits::for_image(size)) {
            Ok(reader) if reader.account(&mut found).is_ok() => found.regions,
            Ok(_) | Err(_) => Vec::new(),
        };
        Self { name, image, regions }
    }

    /// The bytes of a place, and whether they are a field's.
    fn place(&self, place: &str) -> (Range<usize>, bool) {
        let (name, delta) = place.rsplit_once(" + ").map_or((place, 0), |(name, delta)| {
            delta.parse().map_or((place, 0), |delta: usize| (name, delta))
        });
        if name == "image" {
            return (delta..self.image.len(), false);
        }
        let (title, field) = name.rsplit_once(" / ").map_or((name, None), |(t, f)| (t, Some(f)));
        let mut same = self.regions.iter().filter(|region| region.title == title);
        let region = same.next().unwrap_or_else(|| panic!("{}: {title}: no region", self.name));
        assert!(same.next().is_none(), "{}: {title}: two regions", self.name);
        let start = region.offset_bytes as usize;
        let Some(field) = field else {
            return (start + delta..start + region.length_bytes as usize, false);
        };
        let mut start = start;
        for known in &region.fields {
            let length = known.length_bytes as usize;
            if known.name == field {
                return (start + delta..start + length, delta == 0);
            }
            start += length;
        }
        let names: Vec<_> = region.fields.iter().map(|field| field.name).collect();
        panic!("{}: {title}: {field}: no such field among {names:?}", self.name);
    }
}

/// The broken image, and the expected text with its numbers.
fn plant(
    format: &Format,
    base: &Base,
    place: &str,
    change: &str,
    expected: &str,
) -> (Vec<u8>, String) {
    let mut image = base.image.clone();
    let kept = change.strip_prefix("keep-checksum: ");
    let (places, changes) = (place.split(" ; "), kept.unwrap_or(change).split(" ; "));
    assert_eq!(places.clone().count(), changes.clone().count(), "{place}: {change}: no pairs");
    let mut expected = expected.to_owned();
    for (place, change) in places.zip(changes) {
        if change == "none" {
            return (image, expected);
        }
        let (range, is_field) = base.place(place);
        if let Some((old, new)) = apply(&mut image, range, is_field, change) {
            expected = expected.replace("{old}", &old.to_string());
            expected = expected.replace("{new}", &new.to_string());
        }
    }
    if kept.is_none() {
        (format.mend)(&mut image);
    }
    assert!(image != base.image, "{place}: {change}: nothing is changed");
    let size = image.len().to_string();
    (image, expected.replace("{size}", &size))
}

/// Changes the image; returns the numbers before and after it where it is one of numbers.
fn apply(
    image: &mut Vec<u8>,
    place: Range<usize>,
    is_field: bool,
    change: &str,
) -> Option<(u64, u64)> {
    let start = place.start;
    let (verb, argument) = change.split_once(' ').unwrap_or((change, ""));
    match verb {
        "hex" => {
            for (at, byte) in (start..).zip(argument.split(' ')) {
                image[at] = u8::from_str_radix(byte, 16).unwrap();
            }
        }
        "text" => image[start..][..argument.len()].copy_from_slice(argument.as_bytes()),
        "fill" => {
            let (count, byte) = argument.split_once(' ').unwrap();
            let byte = u8::from_str_radix(byte, 16).unwrap();
            image[start..][..count.parse::<usize>().unwrap()].fill(byte);
        }
        "truncate" => image.truncate(image.len() - argument.parse::<usize>().unwrap()),
        "extend" => image.resize(image.len() + argument.parse::<usize>().unwrap(), 0),
        "end" => image.truncate(start),
        "little" | "big" | "both" => {
            let halves = if verb == "both" { 2 } else { 1 };
            let length = if is_field { place.len() / halves } else { 4 };
            let bytes = &mut image[start..][..length * halves];
            let old = number(&bytes[..length], verb != "big");
            let new = changed(old, argument, length);
            let little = &new.to_le_bytes()[..length];
            let big = &new.to_be_bytes()[8 - length..];
            match verb {
                "little" => bytes.copy_from_slice(little),
                "big" => bytes.copy_from_slice(big),
                _ => bytes.copy_from_slice(&[little, big].concat()),
            }
            return Some((old, new));
        }
        _ => panic!("{change}: no such change"),
    }
    None
}

fn number(bytes: &[u8], is_little: bool) -> u64 {
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    if is_little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
}

/// What `argument` makes of a number of so many bytes.
fn changed(old: u64, argument: &str, length: usize) -> u64 {
    let digits = argument.trim_start_matches(['+', '-']);
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
        None => digits.parse().unwrap(),
    };
    let new = match argument.as_bytes()[0] {
        b'+' => old.wrapping_add(value),
        b'-' => old.wrapping_sub(value),
        _ => value,
    };
    new & (u64::MAX >> (64 - 8 * length))
}
