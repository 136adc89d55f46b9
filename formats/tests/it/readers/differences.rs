//! What `diff` tells of two trees and of images: each difference by its path and its respect.

use credimg_formats::read::{
    Aspect, Change, Comparison, Limits, NodeKind, Reader, TreeReader, diff, open,
};
use credimg_formats::{
    Content, Device, ErrorKind, Format, Image, Kind, Metadata, Mode, Secret, Sink, Source,
    Timestamp, Tree, erofs, iso9660, squashfs,
};

use crate::readers::hostile::bases::small;
use crate::support::generator::{Shape, generate};
use crate::support::{BUILD_TIME, file, name, plain};

const LIMITS: u64 = 1 << 30;

fn differences(old: &dyn Reader, new: &dyn Reader, comparison: &Comparison) -> Vec<String> {
    let limits = Limits::for_image(LIMITS);
    let mut told = Vec::new();
    let count = diff((old, limits), (new, limits), comparison, &mut |difference| {
        let change = match &difference.change {
            Change::Added(kind) => format!("added {kind:?}"),
            Change::Removed(kind) => format!("removed {kind:?}"),
            Change::Changed(aspects) => format!("{aspects:?}"),
        };
        told.push(format!("{}: {change}", difference.path.escape_ascii()));
        Ok(())
    });
    assert_eq!(count.unwrap(), told.len() as u64);
    told
}

fn of_trees(old: &Tree, new: &Tree) -> Vec<String> {
    differences(&seen(old), &seen(new), &Comparison::new())
}

/// Changes one tree.
type Edit = fn(&mut Tree);

/// A tree as an image of EROFS would hold it, which is all of it.
fn seen(tree: &Tree) -> TreeReader<'_> {
    TreeReader::new(tree, Format::Erofs)
}

fn metadata_of<'t>(tree: &'t mut Tree, path: &str) -> &'t mut Metadata {
    let id = tree.find(path).unwrap();
    tree.metadata_mut(id).unwrap()
}

/// Makes the time of what stands at `path` so much later.
fn pass_time(tree: &mut Tree, path: &str, seconds: i64, nanoseconds: u32) {
    let mtime = &mut metadata_of(tree, path).mtime;
    *mtime = Timestamp::new(mtime.seconds() + seconds, mtime.nanoseconds() + nanoseconds).unwrap();
}

/// Each edit of the small tree, and all that is different then.
const EDITS: [(Edit, &[&str]); 12] = [
    (|_| {}, &[]),
    (|tree| metadata_of(tree, "big").mode = Mode::of::<0o600>(), &["/big: [Mode]"]),
    (|tree| metadata_of(tree, "big").gid = 7, &["/big: [Owner]"]),
    (|tree| pass_time(tree, "", 1, 0), &["/: [Time]"]),
    (|tree| pass_time(tree, "outer", 0, 1), &["/outer: [Time]"]),
    (
        |tree| {
            let value = Secret::from("other");
            metadata_of(tree, "labelled").xattrs.insert(b"user.note".as_slice().into(), value);
        },
        &["/labelled: [Xattrs]"],
    ),
    (|tree| drop(metadata_of(tree, "labelled").xattrs.pop_first()), &["/labelled: [Xattrs]"]),
    // Modes of links are nowhere stored.
    (|tree| metadata_of(tree, "link").mode = Mode::of::<0o700>(), &[]),
    (
        |tree| {
            tree.insert(Tree::ROOT, name("c"), plain(0o700), Kind::directory()).unwrap();
        },
        &["/c: added Directory"],
    ),
    (
        |tree| {
            let outer = tree.find("outer").unwrap();
            tree.insert(outer, name("!"), plain(0o700), Kind::Fifo).unwrap();
        },
        &["/outer/!: added Fifo"],
    ),
    (
        |tree| {
            let hard = tree.find("hard").unwrap();
            tree.link(Tree::ROOT, name("third"), hard).unwrap();
        },
        &["/hard: [Links]", "/outer/hard too: [Links]", "/third: added File"],
    ),
    (
        |tree| {
            metadata_of(tree, "outer/fifo").mode = Mode::of::<0>();
            metadata_of(tree, "outer/fifo").uid = 1;
        },
        &["/outer/fifo: [Mode, Owner]"],
    ),
];

#[test]
fn each_edit_of_a_tree_is_told_by_its_path_and_its_respect() {
    for (index, (edit, expected)) in EDITS.iter().enumerate() {
        let (old, mut new) = (small(true), small(true));
        edit(&mut new);
        assert_eq!(of_trees(&old, &new), *expected, "edit {index}");
        let backwards: Vec<_> = expected.iter().map(|l| l.replace("added", "removed")).collect();
        assert_eq!(of_trees(&new, &old), backwards, "edit {index}");
    }
}

#[test]
fn kinds_and_what_only_one_kind_has_are_told() {
    let device = |minor| Kind::CharDevice(Device::new(1, minor).unwrap());
    for (old, new, expected) in [
        (file(b"one"), file(b"two"), &["/x: [Content]"] as &[_]),
        (file(b"one"), file(b"one!"), &["/x: [Content]"]),
        (file(b"one"), Kind::Fifo, &["/x: [Kind]"]),
        (Kind::symlink("a"), Kind::symlink("b"), &["/x: [Target]"]),
        (Kind::symlink("a"), file(b"a"), &["/x: [Kind, Mode]"]),
        (device(3), device(5), &["/x: [Device]"]),
        (device(3), Kind::BlockDevice(Device::new(1, 3).unwrap()), &["/x: [Kind]"]),
        (Kind::directory(), Kind::Socket, &["/x: [Kind]"]),
    ] {
        let [old, new] = [old, new].map(|kind| {
            let mut tree = Tree::new(plain(0o755));
            tree.insert(Tree::ROOT, name("x"), plain(0o644), kind).unwrap();
            tree
        });
        assert_eq!(of_trees(&old, &new), expected);
    }
}

#[test]
fn a_directory_that_became_a_file_takes_along_what_it_held_in_path_order() {
    let mut old = Tree::new(plain(0o755));
    for path in ["a/b/c", "a!", "a0"] {
        old.insert_at(path, plain(0o600), file(b""), &plain(0o700)).unwrap();
    }
    let mut new = Tree::new(plain(0o755));
    new.insert_at("a", plain(0o700), file(b""), &plain(0o700)).unwrap();
    let removed = ["/a: [Kind]", "/a/b: removed Directory", "/a/b/c: removed File"];
    let removed = [&removed[..], &["/a!: removed File", "/a0: removed File"]].concat();
    assert_eq!(of_trees(&old, &new), removed);
}

/// Zeros in pieces that the sink may leave holes for.
struct Zeros;

impl Source for Zeros {
    fn stream(&self, planned_bytes: u64, sink: &mut dyn Sink) -> credimg_formats::Result<()> {
        Ok(sink.write_zeros(planned_bytes)?)
    }
}

/// A tree of one file: so many zeros, or one byte behind the first of them.
fn zeros(length: u64, odd: Option<u64>) -> Tree {
    let mut tree = Tree::new(plain(0o755));
    let content = if let Some(at) = odd {
        let mut bytes = vec![0; length as usize];
        bytes[at as usize] = 1;
        Content::Memory(Secret::new(bytes))
    } else {
        Content::Stream { length_bytes: length, source: Box::new(Zeros) }
    };
    tree.insert(Tree::ROOT, name("zeros"), plain(0o400), Kind::File(content)).unwrap();
    tree
}

/// Images of a tree, as far as formats are read: of which format they are, and what they hold.
fn images(tree: &Tree, xattrs: bool) -> Vec<(&'static str, Vec<u8>)> {
    let erofs = erofs::Options::new().build_time(BUILD_TIME);
    let squashfs = squashfs::Options::new().build_time(BUILD_TIME);
    let iso9660 = iso9660::Options::new().build_time(BUILD_TIME);
    let mut plans: Vec<(_, Box<dyn Image>)> = vec![
        ("erofs", Box::new(erofs::Plan::new(tree, erofs).unwrap())),
        ("squashfs", Box::new(squashfs::Plan::new(tree, squashfs).unwrap())),
    ];
    if !xattrs {
        plans.push(("iso9660", Box::new(iso9660::Plan::new(tree, iso9660).unwrap())));
    }
    plans
        .into_iter()
        .map(|(format, plan)| {
            let mut image = Vec::new();
            plan.write(&mut image).unwrap();
            (format, image)
        })
        .collect()
}

fn read(image: Vec<u8>) -> Box<dyn Reader> {
    let limits = Limits::for_image(image.len() as u64);
    open(Box::new(image), limits).unwrap()
}

/// Trees that all formats hold.
fn shape() -> Shape {
    let odd = [0, 1, 2, 0x7fff_ffff];
    Shape {
        common_time: BUILD_TIME,
        odd_times: odd.map(Timestamp::from_seconds),
        block: 4096,
        xattrs: false,
        iso9660_names: true,
        target_max_bytes: 4095,
    }
}

#[test]
fn an_image_is_no_different_from_its_tree_and_from_the_other_formats() {
    let mut compared = 0;
    for seed in 0..20 {
        let (tree, _) = generate(seed, shape());
        let images = images(&tree, false).into_iter().map(|(format, image)| (format, read(image)));
        let images: Vec<_> = images.collect();
        for (format, image) in &images {
            let got = differences(&seen(&tree), &**image, &Comparison::new());
            assert_eq!(got, [""; 0], "seed {seed}: {format}");
            for (other, old) in &images {
                let got = differences(&**old, &**image, &Comparison::new());
                assert_eq!(got, [""; 0], "seed {seed}: {other} and {format}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 20 * 9);
}

#[test]
fn one_byte_among_many_zeros_is_found() {
    let length = (5 << 20) + 3;
    for (format, image) in images(&zeros(length, None), true) {
        let image = read(image);
        for at in [None, Some(0), Some(4095), Some(3 << 20), Some(length - 1)] {
            let tree = zeros(length, at);
            let expected: &[&str] = if at.is_some() { &["/zeros: [Content]"] } else { &[] };
            let got = differences(&seen(&tree), &*image, &Comparison::new());
            assert_eq!(got, expected, "{format}: {at:?}");
            for (other, old) in images(&tree, true) {
                let got = differences(&*read(old), &*image, &Comparison::new());
                assert_eq!(got, expected, "{other} and {format}: {at:?}");
            }
        }
    }
}

#[test]
fn what_a_format_does_not_hold_is_left_out_where_it_is_asked_for() {
    let (old, mut new) = (small(true), small(false));
    pass_time(&mut new, "outer", 0, 5);
    let comparison = Comparison::new().without(Aspect::Xattrs).whole_seconds();
    assert_eq!(differences(&seen(&old), &seen(&new), &comparison), [""; 0]);
    assert_eq!(of_trees(&old, &new), ["/labelled: [Xattrs]", "/outer: [Time]"]);
}

#[test]
fn a_tree_is_read_at_any_place() {
    let tree = small(false);
    let reader = seen(&tree);
    let big = reader.lookup(reader.root(), b"big").unwrap().unwrap();
    let mut whole = Vec::new();
    reader.stream(big, &mut whole).unwrap();
    let mut piece = [0; 100];
    for (at, got) in [(0, 100), (77, 100), (9_950, 50), (10_000, 0), (20_000, 0)] {
        assert_eq!(reader.read_at(big, at, &mut piece).unwrap(), got);
        assert_eq!(piece[..got], whole[(at as usize).min(whole.len())..][..got]);
    }
    assert_eq!(reader.stat(big).unwrap().kind, NodeKind::File);
    let error = reader.target(big).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Conflict, "the inode is not a symbolic link".into())
    );
}
