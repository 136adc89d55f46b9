//! Seeded trees judged by the checker and by the reference tools: xorriso, bsdtar and
//! isoinfo. What a tool gets wrong of a sound image is said where it is left out.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use credimg_formats::iso9660::Plan;

use crate::iso9660::checker::check;
use crate::iso9660::{options, shape, write_image};
use crate::support::generator::{Shape, generate};
use crate::support::host::{Scratch, halves, run};
use crate::support::permissions::permissions;
use crate::support::{Expected, ExpectedKind, Listing, assert_same, walk};

#[test]
fn the_checker_accounts_for_every_byte_of_330_trees() {
    for seed in 0..330 {
        let (tree, listing) = generate(seed, shape());
        let mut image = Vec::new();
        Plan::new(&tree, options(seed % 2 == 0)).unwrap().write(&mut image).unwrap();
        let checked = check(&image).unwrap_or_else(|fault| panic!("seed {seed}: {fault:x?}"));
        assert_same(seed, "the checker", &listing, &checked.listing(&image));
    }
}

#[test]
fn the_reference_tools_agree_on_320_trees() {
    halves(0..320, |seeds| {
        let scratch = Scratch::new(&format!("iso9660-trees-{}", seeds.start));
        for seed in seeds {
            // xorriso refuses an image with a link of 1024 bytes or more, isoinfo crashes.
            let (tree, listing) = generate(seed, Shape { target_max_bytes: 1023, ..shape() });
            let image = scratch.path("tree.iso");
            write_image(&image, &tree, seed % 4 == 0);
            assert_extracted_by_xorriso(&scratch, seed, &image, &listing);
            assert_listed_by_xorriso(seed, &image, &listing);
            assert_extracted_by_bsdtar(&scratch, seed, &image, &listing);
            assert_listed_by_isoinfo(seed, &image, &listing);
        }
    });
}

/// Linux and libarchive show all slashes of a target, libisofs one of each run.
fn without_empty_components(target: &[u8]) -> Vec<u8> {
    let mut target = target.to_vec();
    target.dedup_by(|next, kept| (*next, *kept) == (b'/', b'/'));
    target
}

fn assert_extracted_by_xorriso(scratch: &Scratch, seed: u64, image: &Path, listing: &Listing) {
    let extracted = scratch.path("xorriso");
    let _ = std::fs::remove_dir_all(&extracted);
    let checked = run(Command::new("xorriso")
        .args(["-abort_on", "WARNING", "-hardlinks", "on", "-osirrox", "on", "-indev"])
        .arg(image)
        .args(["-check_media", "--", "-extract", "/"])
        .arg(&extracted));
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    let regions: Vec<_> = checked.lines().filter(|line| line.contains("Media region")).collect();
    assert!(regions.len() == 1 && regions[0].ends_with("+ good"), "seed {seed}: {checked}");
    let got = restored_by_xorriso(&walk(&extracted, false));
    assert_same(seed, "xorriso -extract", &restored_by_xorriso(listing), &got);
}

/// What xorriso restores: no device, FIFO and socket as such, and no owner and time of a
/// link. Its listing shows them.
fn restored_by_xorriso(listing: &Listing) -> Listing {
    let mut reduced = Listing::new();
    for (path, entry) in listing {
        let mut entry = entry.clone();
        match &mut entry.kind {
            ExpectedKind::Special { .. } => continue,
            ExpectedKind::Symlink(target) => {
                (entry.uid, entry.gid, entry.mtime) = (0, 0, (0, 0));
                *target = without_empty_components(target);
            }
            _ => {}
        }
        reduced.insert(path.clone(), entry);
    }
    reduced
}

/// Compares what `-lsdl` prints of each path, whatever the order of the lines.
fn assert_listed_by_xorriso(seed: u64, image: &Path, listing: &Listing) {
    let listed = run(Command::new("xorriso")
        .args(["-abort_on", "WARNING", "-indev"])
        .arg(image)
        .args(["-find", "/", "-exec", "lsdl", "--"])
        .env("TZ", "UTC"));
    let mut expected = Vec::new();
    for (path, entry) in listing {
        expected.extend(line_of_xorriso(path, entry));
    }
    let [expected, got] = [expected, listed.stdout]
        .map(|text| text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<BTreeSet<_>>());
    assert_lines(seed, "xorriso -lsdl", &expected, &got);
}

fn assert_lines(seed: u64, judge: &str, expected: &BTreeSet<Vec<u8>>, got: &BTreeSet<Vec<u8>>) {
    let show = |line: Option<&Vec<u8>>| line.map(|line| line.escape_ascii().to_string());
    let missing = show(expected.difference(got).next());
    let unexpected = show(got.difference(expected).next());
    assert!(expected == got, "seed {seed}: {judge}: want {missing:?}, got {unexpected:?}");
}

fn line_of_xorriso(path: &[u8], entry: &Expected) -> Vec<u8> {
    let (kind, size) = match &entry.kind {
        ExpectedKind::Directory { .. } => ('d', "0".to_owned()),
        ExpectedKind::File { content, .. } => ('-', content.len().to_string()),
        ExpectedKind::Symlink(_) => ('l', "0".to_owned()),
        ExpectedKind::Special { file_type, device } => match file_type {
            0o010_000 => ('p', "0".to_owned()),
            0o140_000 => ('s', "0".to_owned()),
            0o020_000 => ('c', device_of_xorriso(*device)),
            _ => ('b', device_of_xorriso(*device)),
        },
    };
    let date = match entry.mtime.0 {
        1_700_000_000 => "Nov 14  2023",
        0 => "Jan  1  1970",
        -2 => "Dec 31  1969",
        seconds if seconds == i64::from(i32::MIN) => "Dec 13  1901",
        seconds if seconds == i64::from(i32::MAX) => "Jan 19  2038",
        seconds => panic!("a time of another shape: {seconds}"),
    };
    let Expected { mode, uid, gid, .. } = entry;
    let start = format!("{kind}{}    1 {uid:<8} {gid:<8} {size:>8} {date} ", permissions(*mode));
    let mut line = start.into_bytes();
    line.extend(quoted(&[b"/", path].concat()));
    if let ExpectedKind::Symlink(target) = &entry.kind {
        line.extend(b" -> ");
        line.extend(quoted(&without_empty_components(target)));
    }
    line.push(b'\n');
    line
}

/// xorriso takes the halves of PN for those of glibc's 64-bit number; Linux takes them
/// for the major and the minor number, where the latter has more than 8 bits.
fn device_of_xorriso((major, minor): (u32, u32)) -> String {
    if minor <= 0xff {
        return format!("{major},{minor}");
    }
    let minor_bits = u64::from(major) << 20 | u64::from(minor >> 12);
    format!("{},{}", minor >> 8 & 0xfff, minor_bits & !0xff | u64::from(minor & 0xff))
}

/// As a shell takes it.
fn quoted(text: &[u8]) -> Vec<u8> {
    let parts: Vec<_> = text.split(|byte| *byte == b'\'').collect();
    [b"'".as_slice(), &parts.join(b"'\"'\"'".as_slice()), b"'"].concat()
}

fn assert_extracted_by_bsdtar(scratch: &Scratch, seed: u64, image: &Path, listing: &Listing) {
    let extracted = scratch.path("bsdtar");
    let _ = std::fs::remove_dir_all(&extracted);
    std::fs::create_dir(&extracted).unwrap();
    let output =
        Command::new("bsdtar").arg("-xpf").arg(image).arg("-C").arg(&extracted).output().unwrap();
    // bsdtar says so of each device that it cannot make.
    let left_out = listing.values().filter(|entry| has_wide_number(entry)).count();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.matches(": Can't create '").count(), left_out, "seed {seed}: {said}");
    assert_eq!(output.status.success(), left_out == 0, "seed {seed}: {said}");
    let got = restored_by_bsdtar(&walk(&extracted, false));
    assert_same(seed, "bsdtar", &restored_by_bsdtar(listing), &got);
}

/// libarchive reads such a number as xorriso does, and no device can have that.
fn has_wide_number(entry: &Expected) -> bool {
    matches!(entry.kind, ExpectedKind::Special { device: (_, minor), .. } if minor > 0xff)
}

/// Not all devices, files for sockets, no hard links without content, and not the root.
fn restored_by_bsdtar(listing: &Listing) -> Listing {
    let mut reduced = listing.clone();
    reduced.retain(|path, entry| !path.is_empty() && !has_wide_number(entry));
    for entry in reduced.values_mut() {
        match &mut entry.kind {
            ExpectedKind::File { content, links, same_as } if content.is_empty() => {
                (*links, *same_as) = (1, Vec::new());
            }
            ExpectedKind::Special { file_type: 0o140_000, .. } => {
                let (content, same_as) = (Vec::new(), Vec::new());
                entry.kind = ExpectedKind::File { content, links: 1, same_as };
            }
            _ => {}
        }
    }
    reduced
}

/// Compares the names, and the directories that they are in.
fn assert_listed_by_isoinfo(seed: u64, image: &Path, listing: &Listing) {
    let listed = run(Command::new("isoinfo").args(["-R", "-f", "-i"]).arg(image)).stdout;
    let below_root = listing.keys().filter(|path| !path.is_empty());
    let expected: Vec<u8> =
        below_root.flat_map(|path| [b"/", path.as_slice(), b"\n"].concat()).collect();
    let [expected, got] = [expected, listed]
        .map(|text| text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<BTreeSet<_>>());
    assert_lines(seed, "isoinfo -f", &expected, &got);
}
