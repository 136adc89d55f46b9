//! Broken images: each line of `broken-images.txt` is one change to a sound image and
//! the fault that the checker must find in it.

use std::collections::BTreeMap;

use credimg_formats::iso9660::Plan;
use credimg_formats::{Device, Kind, Tree};

use crate::iso9660::checker::{Fault, check};
use crate::iso9660::options;
use crate::support::{file, name, plain};

const LINES: &str = include_str!("broken-images.txt");

#[test]
fn the_checker_finds_each_planted_fault() {
    let sound = sound_image();
    let places = check(&sound).unwrap_or_else(|fault| panic!("{fault:x?}")).places;
    let mut found = 0;
    let mut missed = Vec::new();
    for line in LINES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let broken = Broken::parse(line, &places);
        let mut image = sound.clone();
        let expected = broken.plant(&mut image);
        assert!(image != sound, "{line}: nothing is changed");
        match check(&image) {
            Err(fault) if broken.is_expected(&fault, &expected) => found += 1,
            Err(fault) => {
                missed.push(format!("{line}\n    got {:#x}: {}", fault.offset_bytes, fault.what));
            }
            Ok(_) => missed.push(format!("{line}\n    no fault is found")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert_eq!(found, 174, "lines");
}

/// One of each kind of file; names, targets and directories that need continuations,
/// several fields and several sectors.
fn sound_image() -> Vec<u8> {
    let mut tree = Tree::new(plain(0o755));
    let mut add =
        |parent, entry: &str, kind| tree.insert(parent, name(entry), plain(0o400), kind).unwrap();
    let directory = || Kind::directory();
    let link = |target: &str| Kind::Symlink(target.as_bytes().into());
    let outer = add(Tree::ROOT, "outer", directory());
    let inner = add(outer, "inner", directory());
    add(inner, "deep", file(b"deep"));
    add(outer, "fifo", Kind::Fifo);
    add(outer, "null", Kind::CharDevice(Device::new(1, 3).unwrap()));
    add(Tree::ROOT, "big", file(&[b'b'; 3000]));
    add(Tree::ROOT, "empty", file(b""));
    add(Tree::ROOT, "five", file(b"five!"));
    let hard = add(Tree::ROOT, "hard", file(b"hard"));
    add(Tree::ROOT, "link", link("../target"));
    add(Tree::ROOT, "long link", link(&format!("/{}", "component/".repeat(400))));
    add(Tree::ROOT, &"n".repeat(251), file(b"name"));
    for index in 0..20 {
        add(Tree::ROOT, &format!("x{index:02}"), file(b"x"));
    }
    tree.link(outer, name("hard too"), hard).unwrap();
    let mut image = Vec::new();
    Plan::new(&tree, options(true)).unwrap().write(&mut image).unwrap();
    image
}

/// A line: place, byte position in it, change, fault.
struct Broken<'l> {
    start: usize,
    change: &'l str,
    fault: &'l str,
    /// Whether the fault is where the change is.
    is_here: bool,
}

impl<'l> Broken<'l> {
    fn parse(line: &'l str, places: &BTreeMap<String, u64>) -> Self {
        let columns: Vec<_> = line.split(" | ").collect();
        let [place, position, change, fault] = columns[..] else { panic!("{line}: not 4 columns") };
        let place = match place {
            "image" => 0,
            _ => *places.get(place).unwrap_or_else(|| panic!("{line}: no such place")),
        };
        let start = place as usize + position.parse::<usize>().unwrap() - 1;
        let elsewhere = fault.strip_prefix("elsewhere: ");
        Self { start, change, fault: elsewhere.unwrap_or(fault), is_here: elsewhere.is_none() }
    }

    /// Changes the image; returns the text of the fault.
    fn plant(&self, image: &mut Vec<u8>) -> String {
        let start = self.start;
        let sectors_before = (image.len() / 2048).to_string();
        let (verb, argument) = self.change.split_once(' ').unwrap();
        match verb {
            "hex" => {
                for (at, byte) in (start..).zip(argument.split(' ')) {
                    image[at] = u8::from_str_radix(byte, 16).unwrap();
                }
            }
            "text" => image[start..][..argument.len()].copy_from_slice(argument.as_bytes()),
            "cut" => cut(image, start, argument.parse().unwrap()),
            "truncate" => image.truncate(image.len() - argument.parse::<usize>().unwrap()),
            "extend" => image.resize(image.len() + argument.parse::<usize>().unwrap(), 0),
            // A number of 32 bits, or both halves of one.
            _ => {
                let is_little = matches!(verb, "little" | "both");
                let old = if is_little {
                    u32::from_le_bytes(*image[start..].first_chunk().unwrap())
                } else {
                    u32::from_be_bytes(*image[start..].first_chunk().unwrap())
                };
                let new = match argument.parse::<i32>() {
                    Ok(delta) if argument.starts_with(['+', '-']) => old.wrapping_add_signed(delta),
                    _ => argument.parse().unwrap(),
                };
                let (little, big) = (new.to_le_bytes(), new.to_be_bytes());
                match verb {
                    "little" => image[start..][..4].copy_from_slice(&little),
                    "big" => image[start..][..4].copy_from_slice(&big),
                    "both" => image[start..][..8].copy_from_slice(&[little, big].concat()),
                    _ => panic!("{}: no such change", self.change),
                }
                let fault = self.fault.replace("{old}", &old.to_string());
                return fault.replace("{new}", &new.to_string());
            }
        }
        let size = image.len().to_string();
        let sectors = (image.len() / 2048).to_string();
        let fault = self.fault.replace("{size}", &size).replace("{sectors}", &sectors);
        fault.replace("{sectors before}", &sectors_before)
    }

    fn is_expected(&self, fault: &Fault, expected: &str) -> bool {
        fault.what == expected && (!self.is_here || fault.offset_bytes == self.start as u64)
    }
}

/// Takes a field of `length` bytes out of its record, which ends `rest` bytes behind it,
/// and moves what follows in the sector up.
fn cut(image: &mut [u8], start: usize, length: usize) {
    let sector = start / 2048 * 2048;
    // The record is found by walking the sector.
    let mut record = sector;
    while record + usize::from(image[record]) <= start {
        record += usize::from(image[record]);
    }
    let old_length = usize::from(image[record]);
    let mut bytes = image[record..][..old_length].to_vec();
    bytes.drain(start - record..start - record + length);
    // The padding byte goes, or comes.
    if !bytes.len().is_multiple_of(2) && bytes.last() == Some(&0) {
        bytes.pop();
    } else if !bytes.len().is_multiple_of(2) {
        bytes.push(0);
    }
    bytes[0] = bytes.len() as u8;
    let behind = image[record + old_length..sector + 2048].to_vec();
    bytes.extend(behind);
    bytes.resize(sector + 2048 - record, 0);
    image[record..sector + 2048].copy_from_slice(&bytes);
}
