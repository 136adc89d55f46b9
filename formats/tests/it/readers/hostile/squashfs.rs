//! Images of SquashFS to be changed.

use credimg_formats::squashfs::{BlockSize, Options, Plan};
use credimg_formats::{Kind, Secret, Tree};

use super::{Format, bases, craft};
use crate::support::{BUILD_TIME, file, name, plain};

pub(crate) const FORMAT: Format = Format {
    name: "squashfs",
    lines: include_str!("squashfs.txt"),
    count: 231,
    kept: 0,
    bases: &[
        ("raw", || image("none", &bases::small(true))),
        ("gzip", || image("gzip", &bases::small(true))),
        ("lz4", || image("lz4", &bases::small(true))),
        ("xz", || image("xz", &bases::small(true))),
        ("zstd", || image("zstd", &bases::small(true))),
        ("wide", wide),
        ("holes", holes),
        ("shared", shared),
        ("content bomb", craft::content_bomb),
        ("fragment bomb", craft::fragment_bomb),
        ("hole bomb", craft::hole_bomb),
        ("listing bomb", craft::listing_bomb),
        ("long metadata", craft::long_metadata),
        ("empty metadata", craft::empty_metadata),
        ("long gzip", || long_blocks("gzip")),
        ("long lz4", || long_blocks("lz4")),
        ("long xz", || long_blocks("xz")),
        ("long zstd", || long_blocks("zstd")),
    ],
    // Nothing has a checksum.
    mend: |_| {},
};

/// An image in blocks of 4 KiB.
fn image(compression: &str, tree: &Tree) -> Vec<u8> {
    image_of_blocks(compression, tree, 4096)
}

fn image_of_blocks(compression: &str, tree: &Tree, block_bytes: u32) -> Vec<u8> {
    let options = Options::new()
        .compression(compression.parse().unwrap())
        .block_size(BlockSize::new(block_bytes).unwrap())
        .build_time(BUILD_TIME);
    let mut image = Vec::new();
    Plan::new(tree, options).unwrap().write(&mut image).unwrap();
    image
}

/// A directory that has an index, as its listing takes more than a metadata block.
fn wide() -> Vec<u8> {
    let mut tree = Tree::new(plain(0o755));
    for number in 0..1000 {
        let entry = name(&format!("entry-{number:05}"));
        tree.insert(Tree::ROOT, entry, plain(0o600), Kind::Fifo).unwrap();
    }
    image("none", &tree)
}

/// A file with a hole between two blocks.
fn holes() -> Vec<u8> {
    let mut tree = Tree::new(plain(0o755));
    let content = [vec![1; 4096], vec![0; 4096], vec![2; 4096]].concat();
    tree.insert(Tree::ROOT, name("holes"), plain(0o400), file(&content)).unwrap();
    image("none", &tree)
}

/// Two sets of extended attributes with one long value.
fn shared() -> Vec<u8> {
    let mut tree = Tree::new(plain(0o755));
    for entry in ["one", "two"] {
        let mut metadata = plain(0o400);
        let value = Secret::from("a value of some length");
        metadata.xattrs.insert(format!("user.{entry}").into_bytes().into(), value);
        metadata.xattrs.insert(b"user.odd".as_slice().into(), Secret::from("odd"));
        tree.insert(Tree::ROOT, name(entry), metadata, file(b"")).unwrap();
    }
    image("none", &tree)
}

/// Packed blocks of 8 KiB, where the superblock says that they have 4 KiB.
fn long_blocks(compression: &str) -> Vec<u8> {
    let mut tree = Tree::new(plain(0o755));
    let content = [vec![1; 8192], vec![2; 8192]].concat();
    tree.insert(Tree::ROOT, name("long"), plain(0o400), file(&content)).unwrap();
    let mut image = image_of_blocks(compression, &tree, 8192);
    image[12..16].copy_from_slice(&4096_u32.to_le_bytes());
    image[22..24].copy_from_slice(&12_u16.to_le_bytes());
    image
}
