//! Linux as the judge, in one boot of a real guest: a host may lack isofs, and a test
//! has no business to load modules into its kernel.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use credimg_formats::{Content, Kind, Tree};

use crate::iso9660::{shape, write_image};
use crate::support::generator::generate;
use crate::support::host::{Scratch, Whole, run};
use crate::support::{
    BUILD_TIME, Expected, ExpectedKind, Listing, S_IFMT, assert_same, file, name, plain, special,
};

const TREES: u64 = 330;
/// 64 characters and a dot.
const LONGEST_OF_JOLIET: &str = "the longest name that Joliet can hold has 64 characters and a.dot";
const WIDE_ENTRIES: u32 = 50_000;
const LARGE_BYTES: u64 = (4 << 30) + 4097;
/// Where the first section of a file ends that has several: ECMA-119 leaves it to
/// the writer, and ours makes each as long as whole sectors in 32 bits can be.
const SECTION_BYTES: u64 = (4 << 30) - 2048;

#[test]
fn linux_agrees_on_330_trees_and_on_the_edges() {
    let scratch = Scratch::new("iso9660-guest");
    let images = scratch.path("images");
    std::fs::create_dir_all(images.join("trees")).unwrap();
    std::fs::create_dir_all(images.join("joliet")).unwrap();
    let mut expected = Vec::new();
    for seed in 0..TREES {
        let (tree, listing) = generate(seed, shape());
        let image = images.join(format!("trees/{seed:03}.iso"));
        write_image(&image, &tree, seed % 4 == 0);
        expected.push(listing);
    }
    let (tree, deep) = deep_tree();
    write_image(&images.join("trees/deep.iso"), &tree, false);
    expected.push(deep);
    let joliet_tree = joliet_tree();
    write_image(&images.join("joliet/joliet.iso"), &joliet_tree, true);
    write_image(&images.join("wide.iso"), &wide_tree(), false);
    let source = scratch.path("source");
    write_image(&scratch.path("large.iso"), &large_tree(&source), false);

    let output = boot(&scratch, &images);
    let mut archives = Archives { rest: &output, offset: 0 };
    for (seed, listing) in (0..).zip(&expected) {
        assert_same(seed, "Linux", &as_read(listing), &as_read(&archives.next_listing()));
    }
    assert_joliet(&archives.next_listing());
    assert_wide(&archives.next_listing());
    assert_large(&archives.next_listing());
    assert!(archives.rest.iter().all(|byte| *byte == 0), "more archives than images");
}

/// 60 directories in one another, with a file in the last.
fn deep_tree() -> (Tree, Listing) {
    let root = plain(0o755);
    let mut tree = Tree::new(root);
    let mut listing = Listing::new();
    let (mut parent, mut path) = (Tree::ROOT, Vec::new());
    listing.insert(Vec::new(), expected(ExpectedKind::Directory { links: 3 }, 0o755));
    for level in 0..60 {
        let level_name = format!("level {level} of the directories");
        parent = tree.insert_directory(parent, name(&level_name), plain(0o711)).unwrap();
        if level > 0 {
            path.push(b'/');
        }
        path.extend(level_name.as_bytes());
        let links = if level < 59 { 3 } else { 2 };
        listing.insert(path.clone(), expected(ExpectedKind::Directory { links }, 0o711));
    }
    tree.insert(parent, name("bottom"), plain(0o400), file(b"reached")).unwrap();
    path.extend(b"/bottom");
    let kind = ExpectedKind::File { content: b"reached".to_vec(), links: 1, same_as: path.clone() };
    listing.insert(path, expected(kind, 0o400));
    (tree, listing)
}

fn expected(kind: ExpectedKind, mode: u32) -> Expected {
    let mtime = (BUILD_TIME.seconds(), 0);
    Expected { kind, mode, uid: 0, gid: 0, mtime, xattrs: BTreeMap::new() }
}

/// A file, an empty one, the longest names, and names that are no ASCII or have dots at their
/// ends, which Linux would not show.
fn joliet_tree() -> Tree {
    let mut tree = Tree::new(plain(0o755));
    let directory = tree.insert_directory(Tree::ROOT, name("Größe"), plain(0o700)).unwrap();
    for (entry, content) in [("Key.pem", b"a key".as_slice()), ("empty", b"")] {
        tree.insert(directory, name(entry), plain(0o400), file(content)).unwrap();
    }
    tree.insert(Tree::ROOT, name(LONGEST_OF_JOLIET), plain(0o400), file(b"long")).unwrap();
    for entry in ["end.", "end..", "..."] {
        tree.insert(Tree::ROOT, name(entry), plain(0o400), file(entry.as_bytes())).unwrap();
    }
    let cut = format!("{}.{}", "n".repeat(63), "m".repeat(100));
    tree.insert_directory(Tree::ROOT, name(&cut), plain(0o700)).unwrap();
    tree.insert_directory(Tree::ROOT, name(&"d".repeat(64)), plain(0o700)).unwrap();
    tree.insert(Tree::ROOT, name("link"), plain(0o777), Kind::Symlink(b"x".as_slice().into()))
        .unwrap();
    tree
}

fn assert_joliet(listing: &Listing) {
    let contents: BTreeMap<&str, Option<&[u8]>> = listing
        .iter()
        .map(|(path, entry)| {
            let content = match &entry.kind {
                ExpectedKind::File { content, .. } => Some(content.as_slice()),
                _ => None,
            };
            (std::str::from_utf8(path).unwrap(), content)
        })
        .collect();
    let (cut, longest) = (format!("{}_", "n".repeat(63)), "d".repeat(64));
    let expected = BTreeMap::from([
        ("", None),
        ("___", Some(b"...".as_slice())),
        ("end_", Some(b"end.")),
        ("end__", Some(b"end..")),
        (&cut, None),
        (&longest, None),
        ("Größe", None),
        ("Größe/Key.pem", Some(b"a key".as_slice())),
        ("Größe/empty", Some(b"")),
        (LONGEST_OF_JOLIET, Some(b"long")),
    ]);
    assert_eq!(contents, expected);
}

fn wide_tree() -> Tree {
    let mut tree = Tree::new(plain(0o755));
    let directory = tree.insert_directory(Tree::ROOT, name("wide"), plain(0o755)).unwrap();
    for index in 0..WIDE_ENTRIES {
        let entry = name(&format!("entry-{index}"));
        tree.insert(directory, entry, plain(0o444), file(&index.to_le_bytes())).unwrap();
    }
    tree
}

fn assert_wide(listing: &Listing) {
    let mut names: Vec<_> = (0..WIDE_ENTRIES).map(|index| format!("entry-{index}")).collect();
    names.sort();
    let lines = names.iter().fold(String::new(), |lines, name| lines + name + "\n");
    assert!(content(listing, "/run/names") == lines.as_bytes(), "Linux lists other names");
    for index in [0_u32, 1, 25_000, 49_999] {
        assert_eq!(content(listing, &format!("entry-{index}")), index.to_le_bytes());
    }
}

/// A sparse file whose marks show which part of it is read.
fn large_tree(source: &Path) -> Tree {
    let host = std::fs::File::create(source).unwrap();
    host.set_len(LARGE_BYTES).unwrap();
    for (offset, mark) in large_marks() {
        host.write_all_at(mark, offset).unwrap();
    }
    let mut tree = Tree::new(plain(0o755));
    let content =
        Content::Stream { length_bytes: LARGE_BYTES, source: Box::new(Whole(source.to_owned())) };
    tree.insert(Tree::ROOT, name("large"), plain(0o400), Kind::File(content)).unwrap();
    tree
}

fn large_marks() -> [(u64, &'static [u8]); 4] {
    [
        (0, b"start"),
        (SECTION_BYTES - 6, b"before"),
        (SECTION_BYTES, b"behind"),
        (LARGE_BYTES - 3, b"end"),
    ]
}

fn assert_large(listing: &Listing) {
    assert_eq!(content(listing, "/run/size"), format!("{LARGE_BYTES}\n").as_bytes());
    let ranges = [
        ("/run/start", 0, 8),
        ("/run/sections", 2_097_150 * 2048, 3 * 2048),
        ("/run/end", LARGE_BYTES - 5000, 5000),
    ];
    for (path, start, length) in ranges {
        let mut want = vec![0; length];
        for (offset, mark) in large_marks() {
            if let Some(at) = offset.checked_sub(start).filter(|at| *at < length as u64) {
                want[at as usize..][..mark.len()].copy_from_slice(mark);
            }
        }
        assert!(content(listing, path) == want, "{path}: Linux reads something else");
    }
}

fn content<'l>(listing: &'l Listing, path: &str) -> &'l [u8] {
    match &listing[path.as_bytes()].kind {
        ExpectedKind::File { content, .. } => content,
        _ => panic!("{path} is no file"),
    }
}

/// Boots the guest on the images; returns what it wrote.
fn boot(scratch: &Scratch, images: &Path) -> Vec<u8> {
    let container = scratch.path("images.erofs");
    run(Command::new("mkfs.erofs").arg("--quiet").arg(&container).arg(images));
    let output = scratch.path("output");
    std::fs::File::create(&output).unwrap().set_len(1 << 30).unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut guest = Command::new(tests.join("../scripts/guest-boot"));
    guest.arg(tests.join("tests/it/iso9660/guest.sh")).arg("--");
    let disks = [
        ("images", container, "on"),
        ("large", scratch.path("large.iso"), "on"),
        ("output", output.clone(), "off"),
    ];
    for (serial, path, read_only) in disks {
        let path = path.into_os_string().into_string().unwrap().replace(',', ",,");
        let drive = format!("if=none,id={serial},format=raw,read-only={read_only},file={path}");
        let device = format!("virtio-blk-pci,drive={serial},serial={serial}");
        guest.args(["-drive", &drive, "-device", &device]);
    }
    run(&mut guest);
    std::fs::read(output).unwrap()
}

/// What Linux has of a listing: isofs gives each name an inode of its own.
fn as_read(listing: &Listing) -> Listing {
    let mut listing = listing.clone();
    for entry in listing.values_mut() {
        if let ExpectedKind::File { same_as, .. } = &mut entry.kind {
            same_as.clear();
        }
    }
    listing
}

/// cpio archives of the `newc` kind, one after another.
struct Archives<'o> {
    rest: &'o [u8],
    offset: usize,
}

impl<'o> Archives<'o> {
    fn next_listing(&mut self) -> Listing {
        let mut listing = Listing::new();
        loop {
            assert_eq!(self.take(6), b"070701", "at byte {}: no cpio header", self.offset - 6);
            let [_, mode, uid, gid, links, mtime, size, _, _, major, minor, name_length, _] = [();
                13]
                .map(|()| u32::from_str_radix(str::from_utf8(self.take(8)).unwrap(), 16).unwrap());
            let path = self.take(name_length as usize - 1);
            self.take(1);
            self.align();
            let data = self.take(size as usize).to_vec();
            self.align();
            if path == b"TRAILER!!!" {
                return listing;
            }
            let links = u64::from(links);
            let kind = match mode & S_IFMT {
                0o040_000 => ExpectedKind::Directory { links },
                0o120_000 => ExpectedKind::Symlink(data),
                0o100_000 => ExpectedKind::File { content: data, links, same_as: Vec::new() },
                file_type => special(file_type, (major, minor)),
            };
            let path = path.strip_prefix(b"./").unwrap_or(path);
            let path = if path == b"." { Vec::new() } else { path.to_vec() };
            // Linux reads the times of isofs as signed 32 bits.
            let mtime = (i64::from(mtime as i32), 0);
            let xattrs = BTreeMap::new();
            let entry = Expected { kind, mode: mode & 0o7777, uid, gid, mtime, xattrs };
            assert!(listing.insert(path, entry).is_none(), "an entry twice");
        }
    }

    fn take(&mut self, length: usize) -> &'o [u8] {
        let (taken, rest) = self.rest.split_at(length);
        (self.rest, self.offset) = (rest, self.offset + length);
        taken
    }

    fn align(&mut self) {
        self.take(self.offset.next_multiple_of(4) - self.offset);
    }
}
