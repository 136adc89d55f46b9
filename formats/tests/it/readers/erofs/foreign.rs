//! Images of mkfs.erofs, old and new, by all options that change what an image looks like. Linux
//! is the judge.

use std::path::Path;
use std::process::Command;

use Tool::{Debian, Newest};

use crate::readers::erofs::trees::{image, tree};
use crate::readers::erofs::{bytes, seen};
use crate::support::host::{Scratch, cache, run};
use crate::support::{assert_same, walk};

/// Whose erofs-utils.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Debian's. Its mkfs.erofs 1.5 cuts the last byte off names of 255 bytes.
    Debian,
    /// The newest, which `make setup` unpacks.
    Newest,
}

impl Tool {
    pub(crate) fn program(self, program: &str) -> Command {
        if self == Debian {
            return Command::new(program);
        }
        let tree = cache().join("newer/usr");
        let mut command = Command::new(tree.join("lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(tree.join("lib/x86_64-linux-gnu"));
        command.arg(tree.join("bin").join(program));
        command
    }
}

/// Who makes an image, with which options.
type Variant = (Tool, &'static [&'static str]);

/// All that is read.
pub(crate) const VARIANTS: [Variant; 31] = [
    (Debian, &[]),
    (Debian, &["-Eforce-inode-compact", "--all-root"]),
    (Debian, &["-Eforce-inode-extended"]),
    (Debian, &["-Enoinline_data"]),
    (Debian, &["-Enosbcrc"]),
    (Debian, &["-T1000000000"]),
    (Debian, &["-x-1"]),
    (Debian, &["-x1"]),
    (Debian, &["--all-root"]),
    (Debian, &["--chunksize=4096"]),
    (Debian, &["--chunksize=65536", "-Eforce-chunk-indexes"]),
    (Newest, &[]),
    (Newest, &["-b512"]),
    (Newest, &["-b1024", "-LCHIMERA"]),
    (Newest, &["-b2048", "-x1"]),
    (Newest, &["-Eforce-inode-compact", "--all-root"]),
    (Newest, &["-Eforce-inode-extended", "-b512"]),
    (Newest, &["-Enoinline_data"]),
    (Newest, &["-Enosbcrc", "-Enoinline_data", "-b1024"]),
    (Newest, &["-T1000000000", "--all-time"]),
    (Newest, &["-T1000000000", "--mkfs-time", "--ignore-mtime"]),
    (Newest, &["--all-root", "-x-1"]),
    (Newest, &["--hard-dereference"]),
    (Newest, &["-Exattr-name-filter", "-x0"]),
    (Newest, &["--xattr-prefix=user.a", "--xattr-prefix=trusted.b", "-x0"]),
    (Newest, &["--xattr-prefix=security.", "--xattr-prefix=user.ab", "-b512"]),
    (Newest, &["--root-xattr-isize=3000"]),
    (Newest, &["--chunksize=4096"]),
    (Newest, &["--chunksize=512", "-b512"]),
    (Newest, &["--chunksize=65536", "-Eforce-chunk-indexes"]),
    (Newest, &["--dsunit=16", "-x0"]),
];

/// How many trees it takes until every variant was made of one.
pub(crate) const ROUND: usize = 8;

/// Has variants made of these trees, of each tree the next ones, and reads the images; returns
/// how many.
pub(crate) fn compare(purpose: &str, seeds: std::ops::Range<u64>) -> usize {
    let scratch = Scratch::new(purpose);
    let mut count = 0;
    for seed in seeds {
        for tool in [Debian, Newest] {
            with_source(&scratch, tool, seed, |source| {
                for variant in turn(&VARIANTS, seed, |variant| variant.0 == tool) {
                    compare_one(&scratch, seed, variant, source);
                    count += 1;
                }
            });
        }
    }
    count
}

/// The variants whose turn it is, and which are chosen.
pub(crate) fn turn<V>(
    variants: &[V],
    seed: u64,
    is_chosen: impl Fn(&V) -> bool,
) -> impl Iterator<Item = &V> {
    let turns = variants.iter().enumerate();
    let now = turns.filter(move |(index, _)| (seed as usize + index).is_multiple_of(ROUND));
    now.map(|(_, variant)| variant).filter(move |variant| is_chosen(variant))
}

fn compare_one(scratch: &Scratch, seed: u64, variant: &Variant, source: &Path) {
    let (tool, options) = *variant;
    let made = scratch.path("made.erofs");
    make(tool, options, &made, source);
    let what = format!("mkfs.erofs of {tool:?}, {options:?}");
    let bytes = std::fs::read(&made).unwrap();
    bytes::check(&format!("seed {seed}: {what}"), &bytes);
    let found = seen(bytes);
    mounted(scratch, &made, |root| assert_same(seed, &what, &walk(root, true), &found));
}

/// Mounts an image while its source is mounted.
pub(crate) fn mounted(scratch: &Scratch, image: &Path, look: impl FnOnce(&Path)) {
    let name = scratch.path("").file_name().unwrap().to_str().unwrap().to_owned();
    Scratch::new(&format!("{name}-made")).mounted("erofs", image, look);
}

/// Runs mkfs.erofs.
pub(crate) fn make(tool: Tool, options: &[&str], image: &Path, source: &Path) {
    let _ = std::fs::remove_file(image);
    run(tool.program("mkfs.erofs").args(options).arg("--quiet").arg(image).arg(source));
}

/// Mounts a generated tree, which is the source of others.
pub(crate) fn with_source(scratch: &Scratch, tool: Tool, seed: u64, look: impl FnOnce(&Path)) {
    let (tree, _) = tree(seed, tool == Newest);
    let path = scratch.path("source.erofs");
    std::fs::write(&path, image(&tree)).unwrap();
    scratch.mounted("erofs", &path, look);
}

#[test]
fn images_of_mkfs_erofs_are_read_as_linux_reads_them() {
    assert_eq!(compare("erofs-reader-foreign", 0..ROUND as u64), VARIANTS.len());
}
