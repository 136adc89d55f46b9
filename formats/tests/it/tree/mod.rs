//! The tree: it takes nothing that is none, and the order of insertion shows nowhere. What a
//! test cannot even write down is a documentation test of `Entries` that does not compile.

pub(crate) mod insertion;
mod order;

use credimg_formats::{
    Content, ErrorKind, Inode, Kind, Metadata, Mode, Name, Result, Secret, Timestamp, Tree, erofs,
    iso9660, squashfs,
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn file() -> Kind {
    Kind::File(Content::Memory(Secret::default()))
}

/// Metadata that no inode of Linux has, and what is said of it.
fn impossible() -> Vec<(Metadata, &'static str)> {
    let with_xattr = |name: &[u8]| {
        let mut metadata = Metadata::default();
        metadata.xattrs.insert(name.into(), Secret::default());
        metadata
    };
    vec![
        (Metadata { uid: u32::MAX, ..Metadata::default() }, "owner 4294967295 is out of range"),
        (Metadata { gid: u32::MAX, ..Metadata::default() }, "group 4294967295 is out of range"),
        (with_xattr(b""), "an extended attribute's name is empty"),
        (with_xattr(b"user.a\0b"), "an extended attribute's name holds a NUL byte"),
    ]
}

#[track_caller]
fn assert_error<T: std::fmt::Debug>(outcome: Result<T>, kind: ErrorKind, message: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(message), "{error}");
}

/// What the plan of each format says.
fn plans(tree: &Tree) -> [Result<()>; 3] {
    [
        erofs::Plan::new(tree, erofs::Options::default()).map(drop),
        squashfs::Plan::new(tree, squashfs::Options::default()).map(drop),
        iso9660::Plan::new(tree, iso9660::Options::new().lossy(true)).map(drop),
    ]
}

#[test]
fn impossible_metadata_is_refused_at_insertion_and_by_every_plan() {
    for (metadata, message) in impossible() {
        let mut tree = Tree::new(Metadata::default());
        let inserted = tree.insert(Tree::ROOT, name("x"), metadata.clone(), file());
        assert_error(inserted, ErrorKind::Unrepresentable, message);
        let inserted = tree.insert_at("a/b", Metadata::default(), file(), &metadata);
        assert_error(inserted, ErrorKind::Unrepresentable, message);
        assert_eq!(tree.len(), 1);
        // The ways around it: the root's own, and what is changed later.
        for outcome in plans(&Tree::new(metadata.clone())) {
            assert_error(outcome, ErrorKind::Unrepresentable, message);
        }
        let id = tree.insert(Tree::ROOT, name("x"), Metadata::default(), file()).unwrap();
        assert!(plans(&tree).iter().all(Result::is_ok));
        *tree.metadata_mut(id).unwrap() = metadata;
        for outcome in plans(&tree) {
            assert_eq!(outcome.as_ref().unwrap_err().path(), Some(&b"/x"[..]));
            assert_error(outcome, ErrorKind::Unrepresentable, message);
        }
    }
}

#[test]
fn inodes_that_were_given_the_same_metadata_are_changed_one_by_one() {
    let mut tree = Tree::new(Metadata::default());
    let mut insert = |text| tree.insert(Tree::ROOT, name(text), Metadata::default(), file());
    let (first, second) = (insert("a").unwrap(), insert("b").unwrap());
    tree.metadata_mut(first).unwrap().uid = 7;
    let third = tree.insert(Tree::ROOT, name("c"), Metadata::default(), file()).unwrap();
    let uids = [Tree::ROOT, first, second, third].map(|id| tree.get(id).unwrap().metadata.uid);
    assert_eq!(uids, [0, 7, 0, 0]);
}

#[test]
fn impossible_modes_and_times_cannot_be_made() {
    let refused = ErrorKind::Unrepresentable;
    assert_error(Mode::new(0o10_000), refused, "mode 10000 is out of range");
    assert_error(Mode::new(u16::MAX), refused, "mode 177777 is out of range");
    for nanoseconds in [1_000_000_000, u32::MAX] {
        let made = Timestamp::new(1, nanoseconds);
        assert_error(made, refused, "a second or more of nanoseconds");
    }
    assert_eq!(Mode::new(0o7777).unwrap().bits(), 0o7777);
    assert_eq!(Timestamp::new(-1, 999_999_999).unwrap().nanoseconds(), 999_999_999);
}

#[test]
fn an_inode_of_another_tree_is_an_error_or_nothing() {
    let plain = Metadata::default;
    let mut other = Tree::new(plain());
    let mut tree = Tree::new(plain());
    // As many in both, so that each place in one is one in the other.
    for tree in [&mut other, &mut tree] {
        let directory = tree.insert_directory(Tree::ROOT, name("d"), plain()).unwrap();
        tree.insert(directory, name("f"), plain(), file()).unwrap();
    }
    let [directory, inside] = ["d", "d/f"].map(|path| other.find(path).unwrap());
    for id in [directory, inside] {
        assert!(tree.get(id).is_none());
        assert!(tree.metadata_mut(id).is_none());
        assert_eq!(tree.path_of(id), b"");
    }
    assert_eq!(tree.child(directory, b"f"), None);
    let foreign = "the inode is of another tree";
    assert_error(tree.insert(directory, name("x"), plain(), file()), ErrorKind::Conflict, foreign);
    assert_error(tree.link(Tree::ROOT, name("x"), inside), ErrorKind::Conflict, foreign);
    let own = tree.find("d/f").unwrap();
    assert_error(tree.link(directory, name("x"), own), ErrorKind::Conflict, foreign);
    assert_eq!(tree.get(own).map(|inode| (inode.links(), tree.len())), Some((1, 3)));
    assert!(tree.inodes().all(|(id, _)| id == Tree::ROOT || other.get(id).is_none()));
}

#[test]
fn a_directory_has_one_parent_and_a_file_holds_nothing() {
    let plain = Metadata::default;
    let mut tree = Tree::new(plain());
    let directory = tree.insert_directory(Tree::ROOT, name("d"), plain()).unwrap();
    let id = tree.insert(directory, name("f"), plain(), file()).unwrap();
    for target in [Tree::ROOT, directory] {
        let linked = tree.link(directory, name("x"), target);
        assert_error(linked, ErrorKind::Conflict, "a hard link to a directory");
    }
    let inserted = tree.insert(id, name("x"), plain(), file());
    assert_error(inserted, ErrorKind::Conflict, "the parent is not a directory");
    assert_error(tree.link(id, name("x"), id), ErrorKind::Conflict, "not a directory");
    let inserted = tree.insert(directory, name("f"), plain(), Kind::directory());
    assert_error(inserted, ErrorKind::Conflict, "the path is taken already");
    // Nothing of it counts.
    let links = |id| tree.get(id).map(Inode::links);
    assert_eq!([Tree::ROOT, directory, id].map(links), [Some(3), Some(2), Some(1)]);
    assert_eq!(tree.len(), 3);
}

#[test]
fn paths_are_made_as_far_as_they_are_missing() {
    let closed = Metadata { mode: Mode::of::<0o500>(), ..Metadata::default() };
    let plain = || Metadata { mode: Mode::of::<0o400>(), ..Metadata::default() };
    let mut tree = Tree::new(Metadata { mode: Mode::of::<0o711>(), ..Metadata::default() });
    let key = tree.insert_at("/etc/ssh/key", plain(), file(), &closed).unwrap();
    tree.insert_at(b"etc/ssh/key.pub", plain(), file(), &Metadata::default()).unwrap();
    tree.insert_at("empty", closed.clone(), Kind::directory(), &closed).unwrap();
    let mode = |path: &str| tree.get(tree.find(path).unwrap()).unwrap().metadata.mode;
    let modes = ["", "/", "etc", "etc/ssh", "/etc/ssh/key.pub", "empty"].map(mode);
    assert_eq!(modes.map(Mode::bits), [0o711, 0o711, 0o500, 0o500, 0o400, 0o500]);
    assert_eq!((tree.path_of(key), tree.len()), (b"/etc/ssh/key".to_vec(), 6));
    assert_eq!(["nothing", "etc/nothing", "etc/ssh/key/x"].map(|path| tree.find(path)), [None; 3]);

    let (taken, odd) = (ErrorKind::Conflict, ErrorKind::Unrepresentable);
    for (path, kind, message) in [
        ("etc/ssh/key", taken, "/etc/ssh/key: the path is taken already"),
        ("etc", taken, "/etc: the path is taken already"),
        ("etc/ssh/key/x/y", taken, "/etc/ssh/key/x/y: the parent is not a directory"),
        ("", odd, "/: a name is empty"),
        ("/", odd, "/: a name is empty"),
        ("new/x/", odd, "/new/x/: a name is empty"),
        ("new/../x", odd, "/new/../x: `.` and `..` are not allowed as names"),
        ("new/\0", odd, "/new/\\x00: a name holds a NUL byte"),
    ] {
        let outcome = tree.insert_at(path, plain(), file(), &closed);
        assert_error(outcome, kind, message);
    }
    let link = Kind::Symlink(b"".as_slice().into());
    let outcome = tree.insert_at("new/x", plain(), link, &closed);
    assert_error(outcome, odd, "/new/x: a symbolic link has an empty target");
    assert_eq!(tree.len(), 6, "a directory was made for nothing");
}

#[test]
fn names_come_from_text_and_bytes() {
    assert_eq!(Name::try_from("a").unwrap(), Name::try_from(b"a".as_slice()).unwrap());
    assert_eq!(name("a").as_bytes(), b"a");
    for odd in ["", ".", "..", "a/b", "a\0", &"n".repeat(256)] {
        let outcomes = [odd.parse(), Name::try_from(odd), Name::try_from(odd.as_bytes())];
        for outcome in outcomes {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unrepresentable, "{odd:?}");
        }
    }
}
