//! The trees of which images are made to be changed.

use credimg_formats::{Device, Kind, Metadata, Secret, Tree};

use crate::support::{file, name, plain};

/// One of each kind, a hard link, extended attributes where `xattrs` says so, a directory in a
/// directory, an empty file, one of a few bytes, and one of some blocks.
pub(crate) fn small(xattrs: bool) -> Tree {
    let mut tree = Tree::new(plain(0o755));
    let mut labelled = plain(0o640);
    if xattrs {
        labelled.xattrs.insert(b"user.note".as_slice().into(), Secret::from("value"));
        labelled.xattrs.insert(b"security.label".as_slice().into(), Secret::from("label"));
    }
    let mut add = |parent, entry: &str, metadata: Metadata, kind| {
        tree.insert(parent, name(entry), metadata, kind).unwrap()
    };
    let outer = add(Tree::ROOT, "outer", plain(0o700), Kind::directory());
    let inner = add(outer, "inner", plain(0o700), Kind::directory());
    add(inner, "deep", plain(0o400), file(b"deep"));
    add(outer, "fifo", plain(0o600), Kind::Fifo);
    add(outer, "socket", plain(0o600), Kind::Socket);
    add(outer, "null", plain(0o666), Kind::CharDevice(Device::new(1, 3).unwrap()));
    add(outer, "disk", plain(0o660), Kind::BlockDevice(Device::new(259, 70_000).unwrap()));
    let big: Vec<u8> = (0..10_000_u32).flat_map(|number| (number as u8).to_be_bytes()).collect();
    add(Tree::ROOT, "big", plain(0o400), file(&big));
    add(Tree::ROOT, "empty", plain(0o400), file(b""));
    add(Tree::ROOT, "labelled", labelled, file(b"labelled"));
    let hard = add(Tree::ROOT, "hard", Metadata { uid: 70_000, ..plain(0o400) }, file(b"hard"));
    add(Tree::ROOT, "link", plain(0o777), Kind::symlink("outer/inner/deep"));
    tree.link(outer, name("hard too"), hard).unwrap();
    tree
}
