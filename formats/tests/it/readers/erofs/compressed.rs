//! Images of mkfs.erofs with compressed files, of which all but the content is read, and images
//! that are refused as a whole. Every refusal names what is not read.

use std::path::Path;

use credimg_formats::ErrorKind;
use credimg_formats::erofs::Reader;
use credimg_formats::read::{Limits, Reader as _};

use super::foreign::Tool::{self, Debian, Newest};
use super::foreign::{make, mounted, turn, with_source};
use super::open;
use crate::readers::listing::{content, listing_by};
use crate::support::host::Scratch;
use crate::support::{ExpectedKind, assert_same, walk};

/// Who makes an image, with which options, and the compressors that it has.
type Variant = (Tool, &'static [&'static str], &'static [&'static str]);

pub(crate) const VARIANTS: [Variant; 12] = [
    (Debian, &["-zlz4"], &["lz4"]),
    (Debian, &["-zlz4hc,9", "-C65536"], &["lz4"]),
    (Debian, &["-zlz4", "-Elegacy-compress"], &["lz4"]),
    (Newest, &["-zlz4"], &["lz4"]),
    (Newest, &["-zlz4", "-Eztailpacking"], &["lz4"]),
    (Newest, &["-zlz4hc,level=9", "-C65536", "-Efragments"], &["lz4"]),
    (Newest, &["-zlzma"], &["lzma"]),
    (Newest, &["-zlzma", "-Eall-fragments,dedupe"], &["lzma"]),
    (Newest, &["-zdeflate"], &["deflate"]),
    (Newest, &["-zdeflate", "-b1024", "-C4096"], &["deflate"]),
    (Newest, &["-zzstd"], &["zstd"]),
    (Newest, &["-zzstd", "-C65536", "-Ededupe", "-x0"], &["zstd"]),
];

/// Has variants made of these trees; returns how many images that was, and how many files of
/// them are compressed.
pub(crate) fn compare(purpose: &str, seeds: std::ops::Range<u64>) -> (usize, usize) {
    let scratch = Scratch::new(purpose);
    let made = scratch.path("made.erofs");
    let (mut images, mut files) = (0, 0);
    for seed in seeds {
        for tool in [Debian, Newest] {
            with_source(&scratch, tool, seed, |source| {
                for (_, options, names) in turn(&VARIANTS, seed, |variant| variant.0 == tool) {
                    make(tool, options, &made, source);
                    let what = format!("mkfs.erofs of {tool:?}, {options:?}");
                    files += compare_one(&scratch, seed, &made, &what, names);
                    images += 1;
                }
            });
        }
    }
    (images, files)
}

/// Compares all but the content of compressed files, and returns how many there are.
fn compare_one(scratch: &Scratch, seed: u64, image: &Path, what: &str, names: &[&str]) -> usize {
    let reader = open(std::fs::read(image).unwrap());
    let refused_content = b"it is refused".to_vec();
    let mut refused = 0;
    let found = listing_by(&reader, &mut |inode, size_bytes| {
        let mut start = [0; 1];
        match reader.read_at(inode, 0, &mut start) {
            Ok(_) => content(&reader, inode, size_bytes),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{what}: {error}");
                let message = error.to_string();
                let is_named = names.iter().any(|name| {
                    let start = format!("inode {} is compressed ({name}", inode.0);
                    message.starts_with(&start) && message.ends_with("), which is not read")
                });
                assert!(is_named, "{what}: {message}");
                refused += 1;
                refused_content.clone()
            }
        }
    });
    mounted(scratch, image, |root| {
        let mut expected = walk(root, true);
        for (path, entry) in &mut expected {
            let there = found.get(path).map(|entry| &entry.kind);
            if let (
                ExpectedKind::File { content, .. },
                Some(ExpectedKind::File { content: read, .. }),
            ) = (&mut entry.kind, there)
                && *read == refused_content
            {
                content.clone_from(read);
            }
        }
        assert_same(seed, what, &expected, &found);
    });
    refused
}

#[test]
fn of_compressed_files_all_but_the_content_is_read() {
    assert_eq!(compare("erofs-reader-compressed", 0..8), (12, 53));
}

#[test]
fn what_is_not_read_of_an_image_is_named() {
    let scratch = Scratch::new("erofs-reader-refused");
    let (image, blob) = (scratch.path("made.erofs"), scratch.path("blob"));
    let blob = format!("--blobdev={}", blob.display());
    let cases: [(&[&str], &str); 3] = [
        (&["-E48bit"], "the image uses the feature 48bit, which is not read"),
        (&["-zlz4", "-m4096"], "the image uses the feature 48bit, which is not read"),
        (
            &["--chunksize=4096", &blob],
            "the image uses the feature device_table, which is not read: further devices: 1",
        ),
    ];
    with_source(&scratch, Newest, 1, |source| {
        for (options, expected) in cases {
            make(Newest, options, &image, source);
            let bytes = std::fs::read(&image).unwrap();
            let limits = Limits::for_image(bytes.len() as u64);
            let error = Reader::open(Box::new(bytes), limits).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{options:?}");
            assert_eq!(error.to_string(), expected, "{options:?}");
        }
    });
}
