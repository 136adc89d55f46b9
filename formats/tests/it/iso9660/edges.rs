//! The edges of the format, each in a tree of its own.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use credimg_formats::iso9660::{Lost, Plan};
use credimg_formats::{Content, Device, ErrorKind, Kind, Metadata, Name, Secret, Timestamp, Tree};

use crate::iso9660::checker::{Checked, check};
use crate::iso9660::{options, shape, write_image};
use crate::support::generator::{Shape, generate};
use crate::support::host::{Scratch, Whole, run};
use crate::support::{ExpectedKind, file, name, plain};

#[test]
fn directories_fill_a_sector_exactly_or_miss_by_two_bytes() {
    // Records have an even length, so that two bytes are the smallest miss.
    let mut seen = BTreeSet::new();
    for length in 1..=200 {
        let mut tree = Tree::new(plain(0o755));
        let directory = tree.insert_directory(Tree::ROOT, name("d"), plain(0o755)).unwrap();
        for index in 0..8 {
            let entry = name(&format!("{index:02}{:x<75}", ""));
            tree.insert(directory, entry, plain(0o400), file(b"x")).unwrap();
        }
        let last = name(&format!("z{:z<length$}", ""));
        tree.insert(directory, last, plain(0o400), file(b"x")).unwrap();
        let checked = checked_in_memory(&tree, false);
        seen.insert(checked.used_bytes[b"d".as_slice()].clone());
    }
    let full = |sectors: &&Vec<u64>| sectors[..] == [2048];
    let over = |sectors: &&Vec<u64>| sectors.len() == 2 && sectors.iter().sum::<u64>() == 2050;
    assert!(seen.iter().any(|sectors| full(&sectors)), "{seen:?}");
    assert!(seen.iter().any(|sectors| over(&sectors)), "{seen:?}");
}

#[test]
fn path_tables_of_several_sectors_are_whole() {
    let scratch = Scratch::new("iso9660-path-tables");
    let mut tree = Tree::new(plain(0o755));
    for index in 0..30 {
        let outer = name(&format!("directory {index}"));
        let outer = tree.insert_directory(Tree::ROOT, outer, plain(0o711)).unwrap();
        for index in 0..20 {
            let inner = name(&format!("a directory with a long name {index}"));
            let inner = tree.insert_directory(outer, inner, plain(0o700)).unwrap();
            tree.insert(inner, name("file"), plain(0o400), file(&[index])).unwrap();
        }
    }
    let image = scratch.path("path-tables.iso");
    write_image(&image, &tree, true);
    let checked = checked_file(&image);
    assert_eq!(checked.nodes.len(), 1 + 30 + 30 * 20 * 2);
    assert_eq!(checked.joliet.unwrap().len(), 30 + 30 * 20 * 2);
    let table = run(Command::new("isoinfo").args(["-p", "-i"]).arg(&image)).stdout;
    let lines = String::from_utf8_lossy(&table).lines().filter(|line| line.contains(':')).count();
    assert_eq!(lines, 1 + 30 + 30 * 20, "isoinfo -p");
    assert_eq!(listed(&image, false), 30 + 30 * 20 * 2);
    assert_eq!(listed(&image, true), 30 + 30 * 20 * 2);
}

#[test]
fn a_directory_of_50_000_entries_is_whole() {
    let scratch = Scratch::new("iso9660-wide");
    let mut tree = Tree::new(plain(0o755));
    let directory = tree.insert_directory(Tree::ROOT, name("wide"), plain(0o755)).unwrap();
    for index in 0..50_000_u32 {
        let entry = name(&format!("an entry that is mangled, {index}"));
        tree.insert(directory, entry, plain(0o444), file(&index.to_le_bytes())).unwrap();
    }
    let image = scratch.path("wide.iso");
    write_image(&image, &tree, true);
    let checked = checked_file(&image);
    assert_eq!(checked.nodes.len(), 2 + 50_000);
    assert_eq!(checked.joliet.unwrap().len(), 1 + 50_000);
    assert_eq!(listed(&image, false), 1 + 50_000);
}

#[test]
fn a_file_over_4_gib_has_sections_that_make_it_whole() {
    let scratch = Scratch::new("iso9660-large");
    let length_bytes = (8 << 30) + 5;
    let source = scratch.path("source");
    let host = File::create(&source).unwrap();
    host.set_len(length_bytes).unwrap();
    let marks = [0, (4 << 30) - 2049, (4 << 30) - 1, 4 << 30, 8 << 30, length_bytes - 1];
    for mark in marks {
        host.write_all_at(b"x", mark).unwrap();
    }
    let mut tree = Tree::new(plain(0o755));
    let content = Content::Stream { length_bytes, source: Box::new(Whole(source)) };
    let large = tree.insert(Tree::ROOT, name("large"), plain(0o400), Kind::File(content)).unwrap();
    tree.link(Tree::ROOT, name("other name"), large).unwrap();
    tree.insert(Tree::ROOT, name("small"), plain(0o400), file(b"behind")).unwrap();
    let image = scratch.path("large.iso");
    write_image(&image, &tree, true);
    let checked = checked_file(&image);

    let extents = &checked.nodes[b"large".as_slice()].extents;
    assert_eq!(extents, &checked.nodes[b"other name".as_slice()].extents);
    assert_eq!(extents.iter().map(|extent| extent.length).sum::<u64>(), length_bytes);
    assert_eq!(extents.len(), 3);
    let written = File::open(&image).unwrap();
    for mark in marks {
        let mut offset = mark;
        let extent = extents.iter().find(|extent| {
            let is_inside = offset < extent.length;
            offset -= if is_inside { 0 } else { extent.length };
            is_inside
        });
        let mut byte = [0];
        written.read_exact_at(&mut byte, extent.unwrap().start + offset).unwrap();
        assert_eq!(byte, *b"x", "at {mark}");
    }
    // xorriso and libarchive put the sections together.
    let lines = run(Command::new("xorriso").arg("-indev").arg(&image).args(["-lsl", "/", "--"]));
    assert!(String::from_utf8_lossy(&lines.stdout).contains(&format!(" {length_bytes} ")));
    let lines = run(Command::new("bsdtar").arg("-tvf").arg(&image));
    assert!(String::from_utf8_lossy(&lines.stdout).contains(&format!(" {length_bytes} ")));
}

#[test]
fn blkid_shows_label_type_and_the_time_as_uuid() {
    let scratch = Scratch::new("iso9660-blkid");
    for joliet in [false, true] {
        let mut tree = Tree::new(plain(0o755));
        tree.insert(Tree::ROOT, name("user-data"), plain(0o400), file(b"#cloud-config\n")).unwrap();
        tree.insert(Tree::ROOT, name("meta-data"), plain(0o400), file(b"")).unwrap();
        let image = scratch.path("seed.iso");
        write_image(&image, &tree, joliet);
        checked_file(&image);
        let shown = run(Command::new("blkid").args(["-p", "-o", "export"]).arg(&image));
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        for line in ["LABEL=cidata", "TYPE=iso9660", "UUID=2023-11-14-22-13-20-00"] {
            assert!(shown.lines().any(|have| have == line), "no {line} in:\n{shown}");
        }
    }
}

#[test]
fn what_linux_misreads_is_on_the_image_all_the_same() {
    let long = "l".repeat(255);
    let late = Timestamp::from_seconds(5_869_583_999);
    let mut tree = Tree::new(plain(0o755));
    tree.insert(Tree::ROOT, name(&long), plain(0o400), file(b"long")).unwrap();
    let metadata = Metadata { mtime: late, ..plain(0o400) };
    tree.insert(Tree::ROOT, name("late"), metadata, file(b"2155")).unwrap();
    tree.insert(Tree::ROOT, Name::new(b"\xff").unwrap(), plain(0o400), file(b"byte")).unwrap();
    let device = Kind::BlockDevice(Device::new(0, 256).unwrap());
    tree.insert(Tree::ROOT, name("device"), plain(0o400), device).unwrap();
    for joliet in [false, true] {
        let with = |lossy| options(joliet).lossy(lossy);
        assert_eq!(Plan::new(&tree, with(false)).unwrap_err().kind(), ErrorKind::Unrepresentable);
        let plan = Plan::new(&tree, with(true)).unwrap();
        let mut lost: Vec<_> = plan.losses().iter().map(|loss| loss.lost).collect();
        let is_joliet = |lost: &Lost| matches!(lost, Lost::JolietLength | Lost::JolietCharacter);
        let names: Vec<_> = lost.extract_if(.., |lost| is_joliet(lost)).collect();
        assert_eq!(lost, [Lost::DeviceNumber, Lost::Time, Lost::NameEnd, Lost::Entry]);
        let expected = [Lost::JolietLength, Lost::JolietCharacter];
        assert_eq!(names, &expected[..2 * usize::from(joliet)]);
        let mut image = Vec::new();
        plan.write(&mut image).unwrap();
        let listing = check(&image).unwrap_or_else(|fault| panic!("{fault:x?}")).listing(&image);
        let paths: Vec<_> = listing.keys().map(|path| path.escape_ascii().to_string()).collect();
        assert_eq!(paths, ["", "device", "late", &long, "\\xff"]);
        assert_eq!(listing[b"late".as_slice()].mtime, (late.seconds(), 0));
    }
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    for seed in 0..40 {
        let images = [(); 2].map(|()| image_of(&generate(seed, shape()).0, seed % 2 == 0));
        assert!(images[0] == images[1], "seed {seed}");
    }
}

#[test]
fn joliet_holds_the_same_files_under_unique_names() {
    for seed in 0..100 {
        let (tree, listing) = generate(seed, Shape { target_max_bytes: 100, ..shape() });
        let checked = checked_in_memory(&tree, true);
        let held = listing.iter().filter(|(path, entry)| {
            let kind = &entry.kind;
            let is_held =
                matches!(kind, ExpectedKind::Directory { .. } | ExpectedKind::File { .. });
            !path.is_empty() && is_held
        });
        assert_eq!(checked.joliet.unwrap().len(), held.count(), "seed {seed}");
    }
}

/// As isoinfo and libarchive see it.
#[test]
fn joliet_names_are_held_as_they_are_or_told() {
    let scratch = Scratch::new("iso9660-joliet-names");
    let of = |length| "n".repeat(length);
    let held = [
        of(64),
        format!("{}.pem", of(61)),
        format!("a.b.{}.key", of(57)),
        format!("{}.extension", of(55)),
        "h\u{e4}\u{20ac}".to_owned(),
        "a_b_c_".to_owned(),
    ];
    let told = [of(65), format!("{}.pem", of(62)), "a:b*c?".to_owned(), "x\u{1f511}".to_owned()];
    let mut tree = Tree::new(plain(0o755));
    let directory = tree.insert_directory(Tree::ROOT, name(&of(64)), plain(0o755)).unwrap();
    for entry in held.iter().chain(&told) {
        tree.insert(directory, name(entry), plain(0o400), file(entry.as_bytes())).unwrap();
    }
    let linked = tree.child(directory, held[0].as_bytes()).unwrap();
    tree.link(directory, name("a;1"), linked).unwrap();
    let long = format!("{}.d", of(63));
    tree.insert_directory(Tree::ROOT, name(&long), plain(0o755)).unwrap();

    let strict = options(true).lossy(false);
    assert_eq!(Plan::new(&tree, strict).unwrap_err().kind(), ErrorKind::Unrepresentable);
    let plan = Plan::new(&tree, options(true)).unwrap();
    let got: BTreeSet<_> = plan
        .losses()
        .iter()
        .map(|loss| (String::from_utf8(loss.path(&tree)).unwrap(), loss.lost == Lost::JolietLength))
        .collect();
    let below = |entry: &str| format!("/{}/{entry}", of(64));
    let mut expected: BTreeSet<_> =
        told.iter().map(|entry| (below(entry), entry.len() > 64)).collect();
    expected.extend([(below("a;1"), false), (format!("/{long}"), true)]);
    assert_eq!(got, expected);

    let image = scratch.path("joliet.iso");
    write_image(&image, &tree, true);
    assert_eq!(checked_file(&image).joliet.unwrap().len(), 2 + held.len() + told.len() + 1);
    let isoinfo = run(Command::new("isoinfo").args(["-J", "-f", "-i"]).arg(&image)).stdout;
    let mut bsdtar = Command::new("bsdtar");
    let bsdtar = bsdtar.args(["--options", "iso9660:!rockridge", "-tf"]).arg(&image);
    let bsdtar = run(bsdtar.env("LC_ALL", "C.UTF-8")).stdout;
    for (judge, shown) in [("isoinfo", isoinfo), ("bsdtar", bsdtar)] {
        let shown = String::from_utf8_lossy(&shown);
        let lines = shown.lines().map(|line| line.strip_suffix(";1").unwrap_or(line));
        let lines: BTreeSet<_> = lines.map(|line| line.trim_start_matches('/')).collect();
        let has = |path: &str| lines.contains(&path[1..]);
        // isoinfo knows no UTF-8.
        for entry in held.iter().filter(|entry| entry.is_ascii() || judge != "isoinfo") {
            assert!(has(&below(entry)), "{judge} shows no {entry}: {shown}");
        }
        for entry in &told {
            assert!(!has(&below(entry)), "{judge} shows {entry}: {shown}");
        }
    }
}

#[test]
fn content_is_the_only_thing_that_differs() {
    // Two images that differ in content alone differ in no other byte.
    let image = |byte: u8| {
        let mut tree = Tree::new(plain(0o755));
        for size in [1, 2047, 2048, 2049, 5000] {
            let kind = Kind::File(Content::Memory(Secret::new(vec![byte; size])));
            tree.insert(Tree::ROOT, name(&format!("f{size}")), plain(0o400), kind).unwrap();
        }
        image_of(&tree, true)
    };
    let (ones, twos) = (image(0xaa), image(0x55));
    let differing = ones.iter().zip(&twos).filter(|(one, two)| one != two);
    let pairs: BTreeSet<_> = differing.clone().collect();
    assert_eq!(pairs, BTreeSet::from([(&0xaa, &0x55)]));
    assert_eq!(differing.count(), 1 + 2047 + 2048 + 2049 + 5000);
}

fn image_of(tree: &Tree, joliet: bool) -> Vec<u8> {
    let mut image = Vec::new();
    Plan::new(tree, options(joliet)).unwrap().write(&mut image).unwrap();
    image
}

fn checked_in_memory(tree: &Tree, joliet: bool) -> Checked {
    check(&image_of(tree, joliet)).unwrap_or_else(|fault| panic!("{fault:x?}"))
}

fn checked_file(image: &Path) -> Checked {
    check(&File::open(image).unwrap()).unwrap_or_else(|fault| panic!("{fault:x?}"))
}

/// How many paths isoinfo lists, by Rock Ridge or by Joliet.
fn listed(image: &Path, joliet: bool) -> usize {
    let tree = if joliet { "-J" } else { "-R" };
    let lines = run(Command::new("isoinfo").args([tree, "-f", "-i"]).arg(image)).stdout;
    lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
}
