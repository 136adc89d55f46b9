//! The order of insertion: see `insertion.rs`.

use credimg_formats::{Content, Inode, Kind, Secret, Tree};

use crate::support::{name, plain};
use crate::tree::insertion::compare;

/// A sample; `make test-long` has 500 trees.
#[test]
fn bytes_and_errors_do_not_depend_on_the_order_of_insertion() {
    let (images, errors) = compare(0..50);
    assert_eq!((images, errors), (202, 148), "images and errors");
}

/// The inode of a hard link stands where its first path is, whichever was inserted first.
#[test]
fn a_hard_link_stands_at_its_first_path() {
    let mut tree = Tree::new(plain(0o755));
    let [one, two] =
        ["a", "b"].map(|text| tree.insert_directory(Tree::ROOT, name(text), plain(0o700)).unwrap());
    let file = Kind::File(Content::Memory(Secret::from(b"x".as_slice())));
    let id = tree.insert(two, name("x"), plain(0o400), file).unwrap();
    let mut first = |parent, text| {
        tree.link(parent, name(text), id).unwrap();
        let inodes: Vec<_> = tree.inodes().map(|(id, _)| tree.path_of(id)).collect();
        assert_eq!(inodes.len(), 4);
        let path = tree.path_of(id);
        let slash = path.iter().rposition(|byte| *byte == b'/').unwrap();
        assert_eq!(tree.find(&path[..slash]), tree.get(id).map(Inode::parent));
        String::from_utf8(path).unwrap()
    };
    let places =
        [(two, "y"), (two, "w"), (Tree::ROOT, "c"), (one, "z"), (Tree::ROOT, "a-"), (one, "y")];
    let firsts = places.map(|(parent, text)| first(parent, text));
    assert_eq!(firsts, ["/b/x", "/b/w", "/b/w", "/a/z", "/a/z", "/a/y"]);
}
