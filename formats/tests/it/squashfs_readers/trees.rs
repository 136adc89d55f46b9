//! Trees of which no file goes into a fragment, one a kind, and the plain listing of a tree.

use std::collections::BTreeMap;

use credimg_formats::{Content, Device, InodeId, Kind, Metadata, Secret, Tree};

use crate::support::generator::Random;
use crate::support::{Expected, ExpectedKind, Listing, file, name, plain, special};

/// The block size to which these trees are made.
pub(crate) const BLOCK_BYTES: u32 = 4096;

/// Each tree with what it is made of.
pub(crate) fn without_fragments() -> Vec<(&'static str, Tree)> {
    vec![
        ("nothing", root()),
        ("directories", directories(root())),
        ("links", links(root())),
        ("devices", devices(root())),
        ("empty files", files(root(), &[0, 0, 0])),
        ("zeros", zeros(root())),
        ("whole blocks", blocks(root())),
        ("attributes", attributes(root())),
        ("all of them", attributes(blocks(zeros(devices(links(directories(root()))))))),
    ]
}

fn root() -> Tree {
    Tree::new(plain(0o750))
}

/// Names so long that the listing takes several metadata blocks.
fn directories(mut tree: Tree) -> Tree {
    let outer = tree.insert_directory(Tree::ROOT, name("outer"), plain(0o700)).unwrap();
    let inner = tree.insert_directory(outer, name("inner"), plain(0o1777)).unwrap();
    for index in 0..60 {
        let metadata = Metadata { uid: index, ..plain(0o500) };
        let entry = name(&format!("{index:0>200}"));
        tree.insert_directory(inner, entry, metadata).unwrap();
    }
    tree
}

fn links(mut tree: Tree) -> Tree {
    for target in [".", "nowhere", "../..", "/etc/passwd", &"long/".repeat(200)] {
        let entry = name(&format!("link{}", target.len()));
        tree.insert(Tree::ROOT, entry, plain(0o777), Kind::Symlink(target.as_bytes().into()))
            .unwrap();
    }
    tree
}

fn devices(mut tree: Tree) -> Tree {
    let device = |major, minor| Device::new(major, minor).unwrap();
    for (entry, kind) in [
        ("null", Kind::CharDevice(device(1, 3))),
        ("disk", Kind::BlockDevice(device(259, 65_535))),
        ("fifo", Kind::Fifo),
        ("socket", Kind::Socket),
    ] {
        tree.insert(Tree::ROOT, name(entry), plain(0o640), kind).unwrap();
    }
    tree
}

/// One file of each length, of bytes that do not compress.
fn files(mut tree: Tree, lengths: &[usize]) -> Tree {
    let mut random = Random::new(7);
    for (index, length) in lengths.iter().enumerate() {
        let kind = Kind::File(Content::Memory(Secret::new(random.bytes(*length))));
        let entry = name(&format!("file{index}-{length}"));
        tree.insert(Tree::ROOT, entry, plain(0o4711), kind).unwrap();
    }
    tree
}

fn zeros(mut tree: Tree) -> Tree {
    for length in [1, 4095, 4096, 4097, 20_000, 20_480] {
        let entry = name(&format!("zeros-{length}"));
        tree.insert(Tree::ROOT, entry, plain(0o400), file(&vec![0; length])).unwrap();
    }
    tree
}

/// Files of a block and more, one of them in two places, one twice, one by a link.
fn blocks(tree: Tree) -> Tree {
    let mut tree = files(tree, &[4096, 4097, 8192, 30_000]);
    let text = b"a line that compresses\n".repeat(400);
    let id = tree.insert(Tree::ROOT, name("text"), plain(0o444), file(&text)).unwrap();
    tree.link(Tree::ROOT, name("same"), id).unwrap();
    tree.insert(Tree::ROOT, name("equal"), plain(0o400), file(&text)).unwrap();
    let kind = Kind::Symlink(b"text".as_slice().into());
    tree.insert(Tree::ROOT, name("text-link"), plain(0o777), kind).unwrap();
    let holes = [vec![0; 8192], text, vec![0; 5000], vec![1; 10]].concat();
    tree.insert(Tree::ROOT, name("holes"), plain(0o400), file(&holes)).unwrap();
    tree
}

fn attributes(mut tree: Tree) -> Tree {
    let mut metadata = plain(0o700);
    metadata.xattrs.insert(b"user.note".as_slice().into(), Secret::from(b"hello".as_slice()));
    tree.insert_directory(Tree::ROOT, name("with-attributes"), metadata).unwrap();
    tree
}

/// What a reader must see of `tree`.
pub(crate) fn listing_of(tree: &Tree) -> Listing {
    let mut listing = Listing::new();
    let mut first_path: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut pending = vec![(Vec::new(), Tree::ROOT)];
    while let Some((path, id)) = pending.pop() {
        if let Kind::Directory(entries) = tree.get(id).unwrap().kind() {
            for (entry, child) in entries {
                pending.push((crate::support::join(&path, entry.as_bytes()), *child));
            }
        }
        let first = first_path.entry(id.index()).or_insert_with(|| path.clone());
        *first = path.clone().min(first.clone());
        listing.insert(path, expected(tree, id));
    }
    for entry in listing.values_mut() {
        if let ExpectedKind::File { same_as, .. } = &mut entry.kind {
            let index = usize::from_be_bytes(same_as.as_slice().try_into().unwrap());
            same_as.clone_from(&first_path[&index]);
        }
    }
    listing
}

fn expected(tree: &Tree, id: InodeId) -> Expected {
    let inode = tree.get(id).unwrap();
    let links = u64::from(inode.links());
    let numbers = |device: &Device| (device.major(), device.minor());
    let kind = match inode.kind() {
        Kind::Directory(_) => ExpectedKind::Directory { links },
        Kind::Symlink(target) => ExpectedKind::Symlink(target.to_vec()),
        Kind::File(Content::Memory(secret)) => ExpectedKind::File {
            content: secret.expose().to_vec(),
            links,
            // The inode's number stands in until its first path is known.
            same_as: id.index().to_be_bytes().to_vec(),
        },
        Kind::File(Content::Stream { .. }) => unreachable!("these trees stream nothing"),
        Kind::CharDevice(device) => special(0o020_000, numbers(device)),
        Kind::BlockDevice(device) => special(0o060_000, numbers(device)),
        Kind::Fifo => special(0o010_000, (0, 0)),
        Kind::Socket => special(0o140_000, (0, 0)),
    };
    let metadata = &inode.metadata;
    Expected {
        kind,
        mode: u32::from(metadata.mode),
        uid: metadata.uid,
        gid: metadata.gid,
        mtime: (metadata.mtime.seconds(), 0),
        xattrs: metadata
            .xattrs
            .iter()
            .map(|(name, value)| (name.to_vec(), value.expose().to_vec()))
            .collect(),
    }
}
