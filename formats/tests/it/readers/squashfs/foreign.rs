//! Images of mksquashfs, sqfstar and gensquashfs: what Linux sees, nothing wrong with them, and
//! every byte accounted for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use credimg_formats::ErrorKind;
use credimg_formats::read::{Limits, Reader as _};
use credimg_formats::squashfs::Reader;

use super::trees::{image, shape};
use super::{check, open, seen};
use crate::squashfs_readers::tools::unpacked;
use crate::support::generator::generate;
use crate::support::host::{Scratch, run};
use crate::support::memory::Memory;
use crate::support::{assert_same, walk};

/// A program that makes images of a directory.
type Tool = fn() -> Command;

const DEBIAN_12: Tool = || Command::new("mksquashfs");
const DEBIAN_11: Tool = || unpacked("squashfs-tools-bullseye", "usr/bin/mksquashfs");
const DEBIAN_13: Tool = || unpacked("squashfs-tools-trixie", "usr/bin/mksquashfs");
const NEWER: Tool = || unpacked("newer", "usr/bin/mksquashfs");
const GENSQUASHFS: Tool = || Command::new("gensquashfs");
const NEWER_GENSQUASHFS: Tool = || unpacked("squashfs-readers", "usr/bin/gensquashfs");

/// Each with what its images are compressed with, as the reader tells it.
const VARIANTS: [(&str, Tool, &str, Option<&str>); 30] = [
    ("4.5 gzip", DEBIAN_12, "-comp gzip", Some("gzip")),
    ("4.5 lz4", DEBIAN_12, "-comp lz4", Some("lz4")),
    ("4.5 xz", DEBIAN_12, "-comp xz", Some("xz")),
    ("4.5 zstd", DEBIAN_12, "-comp zstd", Some("zstd")),
    ("4.5 no fragments", DEBIAN_12, "-no-fragments", Some("gzip")),
    ("4.5 always fragments", DEBIAN_12, "-always-use-fragments -comp zstd", Some("zstd")),
    ("4.5 tail ends", DEBIAN_12, "-tailends -b 4096", Some("gzip")),
    ("4.5 no padding", DEBIAN_12, "-nopad", Some("gzip")),
    ("4.5 blocks of 4 KiB", DEBIAN_12, "-b 4096", Some("gzip")),
    ("4.5 blocks of 64 KiB", DEBIAN_12, "-b 65536 -comp lz4 -Xhc", Some("lz4")),
    ("4.5 blocks of 1 MiB", DEBIAN_12, "-b 1M -comp zstd -Xcompression-level 3", Some("zstd")),
    ("4.5 no exports", DEBIAN_12, "-no-exports", Some("gzip")),
    ("4.5 no duplicates", DEBIAN_12, "-no-duplicates -b 8192", Some("gzip")),
    ("4.5 raw", DEBIAN_12, "-noI -noD -noF -noX -b 4096", None),
    ("4.5 raw inodes", DEBIAN_12, "-noI -comp xz", Some("xz")),
    ("4.5 raw data", DEBIAN_12, "-noD -noF -comp lz4 -b 16384", Some("lz4")),
    ("4.5 raw xattrs, ids", DEBIAN_12, "-noX -noId", Some("gzip")),
    ("4.5 no xattrs", DEBIAN_12, "-no-xattrs", Some("gzip")),
    ("4.5 x86", DEBIAN_12, "-comp xz -Xbcj x86 -Xdict-size 50%", Some("xz")),
    (
        "4.5 machine code",
        DEBIAN_12,
        "-comp xz -Xbcj x86,arm,armthumb,powerpc,sparc,ia64",
        Some("xz"),
    ),
    (
        "4.5 gzip's options",
        DEBIAN_12,
        "-comp gzip -Xcompression-level 1 -Xwindow-size 10",
        Some("gzip"),
    ),
    (
        "4.5 as it comes, not sparse",
        DEBIAN_12,
        "-no-sparse -all-root -not-reproducible",
        Some("gzip"),
    ),
    ("4.4 gzip", DEBIAN_11, "-comp gzip -b 4096", Some("gzip")),
    ("4.4 zstd, no fragments", DEBIAN_11, "-comp zstd -no-fragments", Some("zstd")),
    ("4.4 always fragments", DEBIAN_11, "-comp lz4 -always-use-fragments -nopad", Some("lz4")),
    ("4.6 xz", DEBIAN_13, "-comp xz -b 256K", Some("xz")),
    ("4.7 zstd", NEWER, "-comp zstd -b 32768 -tailends", Some("zstd")),
    ("4.7 raw", NEWER, "-noI -noD -noF -noX -no-tailends", None),
    ("gensquashfs 1.2", GENSQUASHFS, "-c zstd -b 4096 -e", Some("zstd")),
    ("gensquashfs 1.3", NEWER_GENSQUASHFS, "-c xz -T", Some("xz")),
];

#[test]
fn images_10_of_other_tools_are_read() {
    let counts = compare((0..VARIANTS.len() as u64).step_by(3));
    assert_eq!(counts.iter().sum::<usize>(), 10);
}

/// Has the reader see the trees of these seeds in images of other tools; returns how many images
/// there were of each variant.
pub(crate) fn compare(seeds: impl Iterator<Item = u64>) -> [usize; VARIANTS.len()] {
    let scratch = Scratch::new("squashfs-foreign");
    let memory = Memory::new(&scratch.path("memory"));
    let mut counts = [0; VARIANTS.len()];
    for seed in seeds {
        let index = seed as usize % VARIANTS.len();
        let (what, tool, arguments, compression) = VARIANTS[index];
        let source = source(&memory, seed);
        let target = scratch.path("theirs.squashfs");
        pack(tool, arguments, &source, &target);
        let what = format!("seed {seed}, {what}");
        let image = std::fs::read(&target).unwrap();
        assert_eq!(open(image.clone()).facts().compression, compression, "{what}");
        check(&what, &image);
        // Linux reads whole sectors alone.
        let padded = image.len().next_multiple_of(4096) as u64;
        std::fs::File::options().write(true).open(&target).unwrap().set_len(padded).unwrap();
        let got = seen(image);
        scratch.mounted("squashfs", &target, |root| {
            assert_same(seed, &what, &walk(root, true), &got);
        });
        std::fs::remove_dir_all(&source).unwrap();
        counts[index] += 1;
    }
    counts
}

/// The tree of a seed in a directory, with a program as some compressors know them.
fn source(memory: &Memory, seed: u64) -> PathBuf {
    let (tree, _) = generate(seed, shape(seed));
    let ours = memory.0.join("ours.squashfs");
    std::fs::write(&ours, image(&tree, "none", 4096)).unwrap();
    let source = memory.0.join("source");
    run(Command::new("unsquashfs")
        .args(["-strict-errors", "-quiet", "-no-progress", "-d"])
        .arg(&source)
        .arg(&ours));
    std::fs::copy("/bin/true", source.join("zz program")).unwrap();
    source
}

fn pack(tool: Tool, arguments: &str, source: &Path, target: &Path) {
    let mut command = tool();
    let arguments = arguments.split(' ');
    if command.get_program() == "gensquashfs"
        || command.get_args().any(|argument| argument.to_string_lossy().ends_with("/gensquashfs"))
    {
        command.args(["-q", "-f", "-k", "-x"]).args(arguments).arg("-D").arg(source).arg(target);
    } else {
        let _ = std::fs::remove_file(target);
        command.arg(source).arg(target).args(["-quiet", "-no-progress"]).args(arguments);
    }
    run(&mut command);
}

#[test]
fn an_archive_by_sqfstar_is_read() {
    let scratch = Scratch::new("squashfs-sqfstar");
    let memory = Memory::new(&scratch.path("memory"));
    let target = scratch.path("theirs.squashfs");
    let source = source(&memory, 7);
    let archive = memory.0.join("archive.tar");
    run(Command::new("tar")
        .args(["--xattrs", "--xattrs-include=*", "--format=pax", "-cf"])
        .arg(&archive)
        .arg("-C")
        .arg(&source)
        .arg("."));
    run(Command::new("sqfstar")
        .args(["-quiet", "-no-progress", "-comp", "zstd"])
        .arg(&target)
        .stdin(Stdio::from(std::fs::File::open(&archive).unwrap())));
    let image = std::fs::read(&target).unwrap();
    check("sqfstar", &image);
    scratch.mounted("squashfs", &target, |root| {
        assert_same(7, "sqfstar", &walk(root, true), &seen(image));
    });
}

#[test]
fn lzo_and_lzma_are_named() {
    let scratch = Scratch::new("squashfs-unsupported");
    let source = scratch.path("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), [7; 1000]).unwrap();
    for name in ["lzo", "lzma"] {
        let target = scratch.path(name);
        pack(DEBIAN_12, &format!("-comp {name}"), &source, &target);
        let image = std::fs::read(&target).unwrap();
        let limits = Limits::for_image(image.len() as u64);
        let error = Reader::open(Box::new(image), limits).err().unwrap();
        let message = format!("compression {name} is not read");
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unsupported, message));
    }
}
