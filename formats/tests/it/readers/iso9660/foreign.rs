//! Images of genisoimage and xorriso: what the reader sees of them is what the tools were given,
//! and their accounts have no fault.

use std::path::Path;
use std::process::Command;

use credimg_formats::Timestamp;
use credimg_formats::iso9660::{Hierarchy, Reader};
use credimg_formats::read::Limits;

use super::{coverage, disk};
use crate::iso9660::shape;
use crate::readers::listing::listing;
use crate::support::generator::{Random, Shape, generate};
use crate::support::host::{Scratch, run};
use crate::support::{Expected, ExpectedKind, Listing, assert_same, join};

/// One way of making images.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    tree: fn(u64) -> Listing,
    make: fn(&Path, &Path) -> Command,
    /// What an image can show of the tree.
    shown: fn(Listing) -> Listing,
    hierarchy: Hierarchy,
}

/// All of them.
pub(crate) const VARIANTS: [Variant; 18] = [
    rock("genisoimage -R", tree, |from, to| genisoimage(&["-R"], from, to), unlinked),
    rock(
        "genisoimage -r -J",
        |seed| simple_tree(seed, 60),
        |from, to| genisoimage(&["-r", "-J", "-joliet-long"], from, to),
        |listing| rationalized(unlinked(listing)),
    ),
    rock(
        "genisoimage -R, relocated",
        |seed| below(tree(seed)),
        |from, to| genisoimage(&["-R"], from, to),
        |listing| with_rr_moved(unlinked(listing)),
    ),
    rock(
        "genisoimage -R -D",
        |seed| below(tree(seed)),
        |from, to| genisoimage(&["-R", "-D"], from, to),
        unlinked,
    ),
    rock(
        "genisoimage -R, relaxed",
        tree,
        |from, to| {
            let relaxed = ["-relaxed-filenames", "-allow-lowercase", "-allow-multidot", "-ldots"];
            genisoimage(&[&["-R", "-iso-level", "3"][..], &relaxed].concat(), from, to)
        },
        unlinked,
    ),
    rock("genisoimage -R -U", tree, |from, to| genisoimage(&["-R", "-U"], from, to), unlinked),
    rock("xorriso -R", narrow_tree, |from, to| mkisofs(&["-R"], from, to), unlinked),
    rock(
        "xorriso -R -J --hardlinks",
        narrow_tree,
        |from, to| mkisofs(&["-R", "-J", "-joliet-long", "--hardlinks"], from, to),
        same,
    ),
    rock(
        "xorriso -r -iso-level 4",
        narrow_tree,
        |from, to| mkisofs(&["-r", "-iso-level", "4"], from, to),
        |listing| rationalized(unlinked(listing)),
    ),
    rock(
        "xorriso, deep",
        |seed| below(narrow_tree(seed)),
        |from, to| xorriso(&["-hardlinks", "on"], from, to),
        same,
    ),
    rock(
        "xorriso, relocated",
        |seed| below(narrow_tree(seed)),
        |from, to| {
            let relocated = ["-compliance", "deep_paths_off", "-rr_reloc_dir", "rr_moved"];
            xorriso(&relocated, from, to)
        },
        |listing| with_rr_moved(unlinked(listing)),
    ),
    plain(
        "genisoimage -iso-level 1",
        8,
        |from, to| genisoimage(&["-iso-level", "1"], from, to),
        Hierarchy::Plain,
    ),
    plain(
        "genisoimage -iso-level 2",
        26,
        |from, to| genisoimage(&["-iso-level", "2"], from, to),
        Hierarchy::Plain,
    ),
    plain(
        "genisoimage -iso-level 4",
        100,
        |from, to| genisoimage(&["-iso-level", "4"], from, to),
        Hierarchy::Plain,
    ),
    plain("genisoimage -J", 60, |from, to| genisoimage(&["-J"], from, to), Hierarchy::Joliet),
    plain(
        "xorriso -iso-level 1",
        8,
        |from, to| mkisofs(&["--norock", "-iso-level", "1"], from, to),
        Hierarchy::Plain,
    ),
    plain(
        "xorriso -iso-level 3",
        26,
        |from, to| mkisofs(&["--norock", "-iso-level", "3"], from, to),
        Hierarchy::Plain,
    ),
    plain("xorriso -J", 12, |from, to| mkisofs(&["--norock", "-J"], from, to), Hierarchy::Joliet),
];

const fn rock(
    name: &'static str,
    tree: fn(u64) -> Listing,
    make: fn(&Path, &Path) -> Command,
    shown: fn(Listing) -> Listing,
) -> Variant {
    Variant { name, tree, make, shown, hierarchy: Hierarchy::RockRidge }
}

const fn plain(
    name: &'static str,
    name_bytes: usize,
    make: fn(&Path, &Path) -> Command,
    hierarchy: Hierarchy,
) -> Variant {
    let tree = match name_bytes {
        8 => |seed| simple_tree(seed, 8),
        26 => |seed| simple_tree(seed, 26),
        12 => |seed| simple_tree(seed, 12),
        60 => |seed| simple_tree(seed, 60),
        _ => |seed| simple_tree(seed, 100),
    };
    Variant { name, tree, make, shown: bare, hierarchy }
}

/// Makes images of these trees in every way, and looks at them.
pub(crate) fn compare(purpose: &str, seeds: std::ops::Range<u64>) -> usize {
    let scratch = Scratch::new(purpose);
    let mut count = 0;
    for seed in seeds {
        for variant in &VARIANTS {
            let from = scratch.path("from");
            let listing = (variant.tree)(seed);
            disk::write(&from, &listing);
            let to = scratch.path("image.iso");
            let _ = std::fs::remove_file(&to);
            let output = run(&mut (variant.make)(&from, &to));
            assert!(to.exists(), "seed {seed}: {}", String::from_utf8_lossy(&output.stderr));
            std::fs::remove_dir_all(&from).unwrap();
            judge(variant, seed, &to, listing);
            count += 1;
        }
    }
    count
}

fn judge(variant: &Variant, seed: u64, path: &Path, source: Listing) {
    let image = std::fs::read(path).unwrap();
    let limits = Limits::for_image(image.len() as u64);
    let reader = Reader::open(Box::new(image.clone()), limits).unwrap();
    assert_eq!(reader.hierarchy(), variant.hierarchy, "{}", variant.name);
    let (expected, got) = ((variant.shown)(source), (variant.shown)(listing(&reader)));
    assert_same(seed, variant.name, &expected, &got);
    let faults = coverage::faults(&reader, &image);
    assert_eq!(faults, Vec::<String>::new(), "seed {seed}: {}", variant.name);
}

fn genisoimage(options: &[&str], from: &Path, to: &Path) -> Command {
    let mut command = Command::new("genisoimage");
    command
        .args(["-quiet", "-input-charset", "iso8859-1"])
        .args(options)
        .arg("-o")
        .arg(to)
        .arg(from);
    command
}

fn mkisofs(options: &[&str], from: &Path, to: &Path) -> Command {
    let mut command = Command::new("xorriso");
    command.args(["-as", "mkisofs", "-quiet"]).args(options).arg("-o").arg(to).arg(from);
    command
}

fn xorriso(options: &[&str], from: &Path, to: &Path) -> Command {
    let mut command = Command::new("xorriso");
    command.arg("-outdev").arg(to).args(options).arg("-map").arg(from).arg("/");
    command
}

/// The generator's tree. genisoimage writes no longer targets rightly, and no zones for times
/// to come; both tools leave out slashes that mean nothing.
fn tree(seed: u64) -> Listing {
    let odd_times = [0, 1, 951_827_696, 1_600_000_000];
    let odd_times = odd_times.map(Timestamp::from_seconds);
    let (_, listing) = generate(seed, Shape { target_max_bytes: 200, odd_times, ..shape() });
    let mut listing = listing;
    // xorriso writes no image of nothing.
    let entry = Expected {
        kind: ExpectedKind::File { content: b"x".to_vec(), links: 1, same_as: b"always".to_vec() },
        ..listing[b"".as_slice()].clone()
    };
    listing.insert(b"always".to_vec(), entry);
    for entry in listing.values_mut() {
        if let ExpectedKind::Symlink(target) = &mut entry.kind {
            target.dedup_by(|next, kept| (*next, *kept) == (b'/', b'/'));
            if target.len() > 1 {
                target.pop_if(|last| *last == b'/');
            }
        }
    }
    listing
}

/// Without numbers of devices that libisofs writes as nobody but itself understands them, and
/// without what it leaves out of the root's mode.
fn narrow_tree(seed: u64) -> Listing {
    let mut listing = tree(seed);
    listing.get_mut(b"".as_slice()).unwrap().mode &= 0o777;
    for entry in listing.values_mut() {
        if let ExpectedKind::Special { device: (_, minor), .. } = &mut entry.kind {
            *minor &= 0xff;
        }
    }
    listing
}

/// The tree below seven directories.
fn below(inner: Listing) -> Listing {
    let root = inner[b"".as_slice()].clone();
    let (mut listing, mut path) = (Listing::new(), Vec::new());
    listing.insert(path.clone(), root.clone());
    for level in 1..8 {
        path = join(&path, level.to_string().as_bytes());
        listing.insert(path.clone(), root.clone());
    }
    for (below, mut entry) in inner.into_iter().filter(|(below, _)| !below.is_empty()) {
        if let ExpectedKind::File { same_as, .. } = &mut entry.kind {
            *same_as = join(&path, same_as);
        }
        listing.insert(join(&path, &below), entry);
    }
    listing
}

/// Files and directories with names that nothing has to be left out of.
fn simple_tree(seed: u64, name_bytes: usize) -> Listing {
    let mut random = Random::new(seed);
    let mut listing = tree(seed);
    listing.retain(|path, _| path.is_empty() || path == b"always");
    let root = listing[b"".as_slice()].clone();
    let mut directories = vec![Vec::new()];
    for _ in 0..random.below(40) {
        let parent = directories[random.below(directories.len() as u64) as usize].clone();
        let length = 1 + random.below(name_bytes as u64) as usize;
        let mut name: Vec<u8> = (0..length).map(|_| random.pick(b"abcxyz0189_")).collect();
        let is_directory = random.below(4) == 0 && parent.split(|byte| *byte == b'/').count() < 6;
        if !is_directory && random.below(3) > 0 {
            name.push(b'.');
            name.extend((0..=random.below(3)).map(|_| random.pick(b"abcxyz0189_")));
        }
        let path = join(&parent, &name);
        if listing.contains_key(&path) {
            continue;
        }
        let kind = if is_directory {
            directories.push(path.clone());
            ExpectedKind::Directory { links: 2 }
        } else {
            let size = random.pick(&[0, 1, 2047, 2048, 2049, 5000]);
            ExpectedKind::File { content: random.bytes(size), links: 1, same_as: path.clone() }
        };
        listing.insert(path, Expected { kind, ..root.clone() });
    }
    listing
}

/// All but the links of directories, which the tools count otherwise.
fn same(mut listing: Listing) -> Listing {
    for entry in listing.values_mut() {
        if let ExpectedKind::Directory { links } = &mut entry.kind {
            *links = 0;
        }
    }
    listing
}

/// Hard links are not told as such.
fn unlinked(listing: Listing) -> Listing {
    let mut listing = same(listing);
    for entry in listing.values_mut() {
        if let ExpectedKind::File { links, same_as, .. } = &mut entry.kind {
            (*links, *same_as) = (0, Vec::new());
        }
    }
    listing
}

/// `-r`: nobody's in particular, to be read by all and written by nobody.
fn rationalized(mut listing: Listing) -> Listing {
    for entry in listing.values_mut() {
        let is_searched = matches!(entry.kind, ExpectedKind::Directory { .. });
        let runs = is_searched || entry.mode & 0o111 != 0;
        entry.mode = if runs { 0o555 } else { 0o444 };
        (entry.uid, entry.gid) = (0, 0);
    }
    listing
}

/// Where relocated directories are, which are not shown there.
fn with_rr_moved(mut listing: Listing) -> Listing {
    listing.remove(b"rr_moved".as_slice());
    listing
}

/// Content and times alone.
fn bare(listing: Listing) -> Listing {
    let mut listing = unlinked(listing);
    for entry in listing.values_mut() {
        entry.mode = 0o555;
        (entry.uid, entry.gid) = (0, 0);
    }
    listing
}
