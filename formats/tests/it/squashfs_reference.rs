//! SquashFS images judged by others: the Linux kernel, unsquashfs and rdsquashfs.
//! A missing tool fails the test; `make setup` installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use credimg_formats::squashfs::{BlockSize, Compression, Options, Plan};
use credimg_formats::{Content, ErrorKind, Kind, Metadata, Secret, Timestamp, Tree};

use crate::support::generator::{Random, Shape, generate};
use crate::support::host::{Scratch, SparseSink, Whole, halves, run};
use crate::support::memory::Memory;
use crate::support::permissions::permissions;
use crate::support::{
    BUILD_TIME, Expected, ExpectedKind, Listing, assert_same, file, name, plain, walk,
};

/// Unsigned seconds of 32 bits.
const ODD_TIMES: [i64; 4] = [0, 1, 0x8000_0000, 0xffff_ffff];
const COMPRESSIONS: [&str; 8] = ["none", "gzip", "zstd", "lz4", "xz", "gzip:1", "zstd:3", "xz:0"];

#[test]
fn the_kernel_and_the_reference_tools_agree_on_320_trees() {
    halves(0..320, |seeds| {
        let scratch = Scratch::new(&format!("squashfs-trees-{}", seeds.start));
        let extracted = Memory::new(&scratch.path("extracted"));
        for seed in seeds {
            let compression = COMPRESSIONS[seed as usize % COMPRESSIONS.len()];
            // Most blocks are small, as every edge comes with them, too, and the trees are quick to make.
            let (block, edge) = match seed as usize / COMPRESSIONS.len() % 10 {
                0 => (8192, 8192),
                1 => (32_768, 32_768),
                2 if seed < 160 => (131_072, 131_072),
                3 => (1 << 20, 16_384),
                _ => (4096, 4096),
            };
            let shape = Shape {
                common_time: BUILD_TIME,
                odd_times: ODD_TIMES.map(Timestamp::from_seconds),
                block: edge,
                xattrs: seed % 3 != 0,
                iso9660_names: false,
                target_max_bytes: 4095,
            };
            let (tree, listing) = generate(seed, shape);
            let image = scratch.path("tree.squashfs");
            write_image(&image, &tree, options(compression, block));
            judge(&scratch, &extracted.0, seed, &image, &listing);
        }
    });
}

#[test]
fn a_directory_of_100_000_entries_is_whole() {
    let scratch = Scratch::new("squashfs-wide");
    for compression in ["none", "gzip:1"] {
        let mut tree = Tree::new(plain(0o755));
        let directory = tree.insert_directory(Tree::ROOT, name("wide"), plain(0o755)).unwrap();
        for index in 0..100_000_u32 {
            let entry = name(&format!("entry-{index}"));
            let content = index.to_le_bytes();
            tree.insert(directory, entry, plain(0o444), file(&content)).unwrap();
        }
        let image = scratch.path("wide.squashfs");
        write_image(&image, &tree, options(compression, 131_072));
        let lines = run(Command::new("unsquashfs").arg("-lc").arg(&image)).stdout;
        assert_eq!(lines.split(|byte| *byte == b'\n').count(), 100_000 + 1);
        scratch.mounted("squashfs", &image, |root| {
            assert_eq!(root.join("wide").read_dir().unwrap().count(), 100_000);
            for index in (0..100_000_u32).step_by(37).chain([99_999]) {
                let content = std::fs::read(root.join(format!("wide/entry-{index}"))).unwrap();
                assert_eq!(content, index.to_le_bytes());
            }
            assert!(!root.join("wide/entry-100000").exists());
        });
    }
}

#[test]
fn a_file_over_4_gib_is_whole_and_its_holes_take_no_room() {
    let scratch = Scratch::new("squashfs-large");
    let length_bytes = (4 << 30) + 4097;
    let source = scratch.path("source");
    std::fs::write(&source, b"start").unwrap();
    let host = std::fs::File::options().write(true).open(&source).unwrap();
    std::os::unix::fs::FileExt::write_at(&host, b"end", length_bytes - 3).unwrap();

    for compression in ["none", "zstd:1"] {
        let mut tree = Tree::new(plain(0o755));
        let content = Content::Stream { length_bytes, source: Box::new(Whole(source.clone())) };
        tree.insert(Tree::ROOT, name("large"), plain(0o400), Kind::File(content)).unwrap();
        tree.insert(Tree::ROOT, name("hole"), plain(0o400), file(&vec![0; 200_001])).unwrap();
        let image = scratch.path("large.squashfs");
        let size = write_image(&image, &tree, options(compression, 131_072));
        assert!(size < 512 << 10, "{compression}: {size} bytes");
        scratch.mounted("squashfs", &image, |root| {
            let file = std::fs::File::open(root.join("large")).unwrap();
            let metadata = file.metadata().unwrap();
            assert_eq!(metadata.len(), length_bytes);
            // Two blocks of data: the holes take none.
            let blocks = std::os::unix::fs::MetadataExt::blocks(&metadata);
            assert_eq!(blocks, (131_072_u64 + 4097).div_ceil(512), "{compression}");
            let hole = root.join("hole").metadata().unwrap();
            assert_eq!(std::os::unix::fs::MetadataExt::blocks(&hole), 0, "{compression}");
            let mut start = [0; 8];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut start, 0).unwrap();
            assert_eq!(&start, b"start\0\0\0");
            let mut end = [0; 8];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut end, length_bytes - 8).unwrap();
            assert_eq!(&end, b"\0\0\0\0\0end");
        });
    }
}

#[test]
fn an_image_of_files_is_that_of_their_content_in_memory() {
    let scratch = Scratch::new("squashfs-streams");
    let mut random = Random::new(1);
    // Blocks that are zero, start with zeros, or neither.
    let mut contents = Vec::new();
    for tail in [0, 1, 4095] {
        let mut content = Vec::new();
        for _ in 0..200 {
            match random.below(3) {
                0 => content.resize(content.len() + 4096, 0),
                1 => content.extend([vec![0; 4000], random.bytes(96)].concat()),
                _ => content.extend(random.bytes(4096)),
            }
        }
        content.extend(random.bytes(tail));
        contents.push(content);
    }
    for compression in ["none", "lz4"] {
        let mut in_memory = Tree::new(plain(0o755));
        let mut in_files = Tree::new(plain(0o755));
        for (index, content) in contents.iter().enumerate() {
            let entry = name(&format!("f{index}"));
            in_memory.insert(Tree::ROOT, entry.clone(), plain(0o400), file(content)).unwrap();
            let source = scratch.path(&format!("f{index}"));
            std::fs::write(&source, content).unwrap();
            let length_bytes = content.len() as u64;
            let content = Content::Stream { length_bytes, source: Box::new(Whole(source)) };
            in_files.insert(Tree::ROOT, entry, plain(0o400), Kind::File(content)).unwrap();
        }
        let images = [in_memory, in_files].map(|tree| {
            let mut image = Vec::new();
            Plan::new(&tree, options(compression, 4096)).unwrap().write(&mut image).unwrap();
            image
        });
        assert!(images[0] == images[1], "{compression}");
    }
}

#[test]
fn data_beyond_4_gib_is_found() {
    let scratch = Scratch::new("squashfs-far");
    let length_bytes = (4 << 30) + 1;
    let source = scratch.path("source");
    let host = std::fs::File::create(&source).unwrap();
    // No block is all zero, so that none is a hole; the sink makes the image sparse again.
    for offset in (0..length_bytes).step_by(1 << 20) {
        std::os::unix::fs::FileExt::write_at(&host, b"x", offset).unwrap();
    }
    let mut tree = Tree::new(plain(0o755));
    let content = Content::Stream { length_bytes, source: Box::new(Whole(source)) };
    tree.insert(Tree::ROOT, name("a-large"), plain(0o400), Kind::File(content)).unwrap();
    tree.insert(Tree::ROOT, name("b-blocks"), plain(0o400), file(&vec![7; 1 << 20])).unwrap();
    tree.insert(Tree::ROOT, name("c-fragment"), plain(0o400), file(b"behind")).unwrap();
    let image = scratch.path("far.squashfs");
    assert!(write_image(&image, &tree, options("none", 1 << 20)) > 4 << 30);
    scratch.mounted("squashfs", &image, |root| {
        assert_eq!(std::fs::read(root.join("b-blocks")).unwrap(), vec![7; 1 << 20]);
        assert_eq!(std::fs::read(root.join("c-fragment")).unwrap(), b"behind");
        let large = std::fs::File::open(root.join("a-large")).unwrap();
        let mut end = [0; 2];
        std::os::unix::fs::FileExt::read_exact_at(&large, &mut end, length_bytes - 2).unwrap();
        assert_eq!(&end, b"\0x");
    });
}

#[test]
fn as_many_owners_as_the_format_counts_are_held_and_more_are_refused() {
    let owned = |owners: u32| {
        let mut tree = Tree::new(plain(0o755));
        for uid in 1..owners {
            let metadata = Metadata { uid, ..plain(0o400) };
            let entry = name(&format!("f{uid}"));
            tree.insert(Tree::ROOT, entry, metadata, file(b"")).unwrap();
        }
        tree
    };
    for owners in [65_536, 70_000] {
        let error = Plan::new(&owned(owners), Options::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        let message = format!(
            "the tree has {owners} different owners and groups, SquashFS holds at most 65535"
        );
        assert_eq!(error.to_string(), message);
    }
    let scratch = Scratch::new("squashfs-owners");
    let image = scratch.path("owners.squashfs");
    write_image(&image, &owned(65_535), options("none", 4096));
    scratch.mounted("squashfs", &image, |root| {
        for uid in [1, 2047, 2048, 65_534] {
            let stat = root.join(format!("f{uid}")).metadata().unwrap();
            assert_eq!(std::os::unix::fs::MetadataExt::uid(&stat), uid);
        }
    });
}

#[test]
fn an_image_is_no_larger_than_that_of_mksquashfs() {
    let scratch = Scratch::new("squashfs-size");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (compression, arguments) in [
        ("none", "-noI -noD -noF -noX"),
        ("gzip", "-comp gzip"),
        ("zstd", "-comp zstd"),
        ("lz4", "-comp lz4"),
        ("xz", "-comp xz"),
    ] {
        let theirs = scratch.path("theirs.squashfs");
        run(Command::new("mksquashfs")
            .arg(&sources)
            .arg(&theirs)
            .args("-noappend -quiet -no-progress".split(' '))
            .args(arguments.split(' ')));
        let theirs = theirs.metadata().unwrap().len();
        let mut tree = Tree::new(plain(0o755));
        plant(&mut tree, &sources);
        let ours =
            write_image(&scratch.path("ours.squashfs"), &tree, options(compression, 131_072));
        let most = theirs + (theirs / 100).max(8192);
        assert!(ours <= most, "{compression}: {ours} bytes, mksquashfs {theirs}");
    }
}

#[test]
fn every_byte_of_no_record_is_zero() {
    // Two images that differ in content only differ in no byte of anything else, and behind
    // what the superblock counts all is zero.
    let image_of = |byte: u8| {
        let mut tree = Tree::new(plain(0o755));
        for size in [1, 31, 4095, 4096, 4097, 9000, 131_073] {
            tree.insert(
                Tree::ROOT,
                name(&format!("f{size}")),
                plain(0o400),
                Kind::File(Content::Memory(Secret::new(vec![byte; size]))),
            )
            .unwrap();
        }
        let mut image = Vec::new();
        Plan::new(&tree, options("none", 4096)).unwrap().write(&mut image).unwrap();
        image
    };
    let (ones, twos) = (image_of(0xaa), image_of(0x55));
    assert_eq!(ones.len(), twos.len());
    let mut differing = ones.iter().zip(&twos).filter(|(one, two)| one != two).peekable();
    assert!(differing.peek().is_some());
    assert!(differing.all(|pair| pair == (&0xaa, &0x55)));
    // `bytes_used` of the superblock.
    let used_bytes = u64::from_le_bytes(ones[40..48].try_into().unwrap()) as usize;
    assert!(used_bytes < ones.len());
    assert!(ones[used_bytes..].iter().all(|byte| *byte == 0));
}

fn judge(scratch: &Scratch, extracted: &Path, seed: u64, image: &Path, listing: &Listing) {
    let listed = run(Command::new("unsquashfs").args(["-lln", "-UTC"]).arg(image)).stdout;
    assert_listed(seed, listing, &listed);

    let target = extracted.join("unsquashfs");
    run(Command::new("unsquashfs")
        .args(["-strict-errors", "-quiet", "-no-progress", "-d"])
        .arg(&target)
        .arg(image));
    assert_same(seed, "unsquashfs", listing, &walk(&target, true));
    std::fs::remove_dir_all(&target).unwrap();

    let target = extracted.join("rdsquashfs");
    std::fs::create_dir(&target).unwrap();
    run(Command::new("rdsquashfs")
        .args(["--unpack-path", "/", "--set-xattr", "--set-times", "--chmod", "--chown", "--quiet"])
        .arg("--unpack-root")
        .arg(&target)
        .arg(image));
    let got = walk(&target, true);
    assert_same(seed, "rdsquashfs", &as_unpacked(listing), &as_unpacked(&got));
    std::fs::remove_dir_all(&target).unwrap();

    scratch.mounted("squashfs", image, |root| {
        assert_same(seed, "the kernel", listing, &walk(root, true));
    });
}

/// Compares what `unsquashfs -lln` prints, but for the sizes of directories and devices.
fn assert_listed(seed: u64, listing: &Listing, listed: &[u8]) {
    let mut paths: Vec<_> = listing.keys().collect();
    paths.sort_by_key(|path| path.split(|byte| *byte == b'/').collect::<Vec<_>>());
    let mut rest = listed;
    for path in paths {
        let want = &listing[path];
        let shown = path.escape_ascii();
        let (mode, size, target) = match &want.kind {
            ExpectedKind::Directory { .. } => ('d', None, None),
            ExpectedKind::File { content, .. } => ('-', Some(content.len()), None),
            ExpectedKind::Symlink(target) => ('l', Some(target.len()), Some(target)),
            ExpectedKind::Special { file_type, .. } => match file_type {
                0o010_000 => ('p', Some(0), None),
                0o140_000 => ('s', Some(0), None),
                0o020_000 => ('c', None, None),
                _ => ('b', None, None),
            },
        };
        let start = format!("{mode}{} {}/{} ", permissions(want.mode), want.uid, want.gid);
        rest = rest.strip_prefix(start.as_bytes()).unwrap_or_else(|| {
            let got = rest[..rest.len().min(60)].escape_ascii();
            panic!("seed {seed}: /{shown}: want {start:?}, unsquashfs lists {got}")
        });
        let date = format!(" {} squashfs-root", minute(want.mtime.0));
        let size_length =
            rest.windows(date.len()).position(|window| window == date.as_bytes()).unwrap();
        if let Some(size) = size {
            let got = String::from_utf8_lossy(&rest[..size_length]);
            assert_eq!(got.trim(), size.to_string(), "seed {seed}: /{shown}");
        }
        rest = &rest[size_length + date.len()..];
        let mut end = Vec::new();
        if !path.is_empty() {
            end.push(b'/');
        }
        end.extend_from_slice(path);
        if let Some(target) = target {
            end.extend_from_slice(b" -> ");
            end.extend_from_slice(target);
        }
        end.push(b'\n');
        rest = rest
            .strip_prefix(end.as_slice())
            .unwrap_or_else(|| panic!("seed {seed}: /{shown} is listed otherwise by unsquashfs"));
    }
    assert!(rest.is_empty(), "seed {seed}: unsquashfs lists more than was put in");
}

/// `2023-11-14 22:13`, UTC.
fn minute(seconds: i64) -> String {
    let (mut days, in_day) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute) = (in_day / 3600, in_day % 3600 / 60);
    format!("{year}-{:02}-{:02} {hour:02}:{minute:02}", month + 1, days + 1)
}

/// What rdsquashfs 1.2 restores: neither hard links, the link counts they make, nor the root.
fn as_unpacked(listing: &Listing) -> Listing {
    let reduce = |entry: &Expected| Expected {
        kind: match &entry.kind {
            ExpectedKind::File { content, .. } => {
                ExpectedKind::File { content: content.clone(), links: 0, same_as: Vec::new() }
            }
            kind => kind.clone(),
        },
        ..entry.clone()
    };
    let below_root = listing.iter().filter(|(path, _)| !path.is_empty());
    below_root.map(|(path, entry)| (path.clone(), reduce(entry))).collect()
}

fn options(compression: &str, block_bytes: u32) -> Options {
    Options::new()
        .compression(compression.parse::<Compression>().unwrap())
        .block_size(BlockSize::new(block_bytes).unwrap())
        .build_time(BUILD_TIME)
}

/// Puts the files of a host directory of directories into the root of `tree`.
fn plant(tree: &mut Tree, host: &Path) {
    let mut pending: Vec<(PathBuf, _)> = vec![(host.to_owned(), Tree::ROOT)];
    while let Some((path, parent)) = pending.pop() {
        for entry in path.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let entry = name(path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                let id = tree.insert_directory(parent, entry, plain(0o755)).unwrap();
                pending.push((path, id));
            } else {
                let content = std::fs::read(&path).unwrap();
                tree.insert(parent, entry, plain(0o644), file(&content)).unwrap();
            }
        }
    }
}

/// Returns the image's size in bytes.
fn write_image(path: &Path, tree: &Tree, options: Options) -> u64 {
    let plan = Plan::new(tree, options).unwrap();
    let mut sink = SparseSink::create(path);
    let size = plan.write(&mut sink).unwrap();
    assert_eq!(sink.finish(), size);
    assert_eq!(size % 4096, 0);
    size
}
