//! Content that looks like another format where blkid looks for one: what blkid takes such an
//! image for, and that the writer's caller is told.

use std::collections::BTreeSet;
use std::path::PathBuf;

use credimg_formats::signature::{Signature, Watch, known};
use credimg_formats::{Sink, Tree, erofs, iso9660, squashfs};

use crate::blkid::counts::{LABEL, LARGE_BYTES};
use crate::blkid::judge::{Expected, wrong};
use crate::support::host::Scratch;
use crate::support::{BUILD_TIME, file, name, plain};

const FORMATS: [Expected<'_>; 3] = [
    Expected { file_system: "erofs", label: Some(LABEL) },
    Expected { file_system: "squashfs", label: None },
    Expected { file_system: "iso9660", label: Some(LABEL) },
];

/// A file that lies behind EROFS's superblock, in its first block, and one that fills whatever
/// blkid reads.
const SIZES_BYTES: [usize; 2] = [2700, 300 << 10];

/// Writes an image of two files; returns it and what it looks like besides.
fn image(expected: Expected<'_>, contents: &[Vec<u8>; 2]) -> (Vec<u8>, Vec<Signature>) {
    let mut tree = Tree::new(plain(0o755));
    for (path, content) in ["a", "b"].into_iter().zip(contents) {
        tree.insert(Tree::ROOT, name(path), plain(0o400), file(content)).unwrap();
    }
    let mut image = Vec::new();
    let mut watch = Watch::new(&mut image);
    write(expected, &tree, &mut watch);
    let found = watch.found(expected.file_system);
    (image, found)
}

fn write(expected: Expected<'_>, tree: &Tree, sink: &mut dyn Sink) {
    match expected.file_system {
        "erofs" => {
            let label = erofs::Label::new(LABEL.as_bytes()).unwrap();
            let options = erofs::Options::new().label(label).uuid([0x5a; 16]);
            erofs::Plan::new(tree, options.build_time(BUILD_TIME)).unwrap().write(sink).unwrap();
        }
        "squashfs" => {
            let options = squashfs::Options::new().build_time(BUILD_TIME);
            squashfs::Plan::new(tree, options).unwrap().write(sink).unwrap();
        }
        _ => {
            let volume_id = iso9660::VolumeId::new(LABEL.as_bytes()).unwrap();
            let options = iso9660::Options::new().volume_id(volume_id).build_time(BUILD_TIME);
            iso9660::Plan::new(tree, options).unwrap().write(sink).unwrap();
        }
    }
}

/// Begins every word of a content.
const MARK: &[u8] = b"\xa1\xb2\xc3";

/// Contents in which every eight bytes are others, none of them a magic.
fn marked() -> [Vec<u8>; 2] {
    let mut marks = (u64::from_be_bytes(*b"\xa1\xb2\xc3\0\0\0\0\0"))..;
    SIZES_BYTES.map(|size| {
        let words = marks.by_ref().take(size / 8).flat_map(u64::to_be_bytes);
        words.chain(std::iter::repeat(0)).take(size).collect()
    })
}

/// Puts the signature into the content that lies at its place in `image`, or tells that
/// something else lies there. With `is_bare` zeros are around it, which many formats have there.
fn plant(
    contents: &mut [Vec<u8>; 2],
    image: &[u8],
    signature: Signature,
    is_bare: bool,
) -> Option<()> {
    let Signature { offset_bytes, magic, .. } = signature;
    // The word that surrounds the place tells which content lies there.
    let around = offset_bytes.checked_sub(7)?..=offset_bytes;
    let mut words = around.map(|at| (at, &image[at..at + 8]));
    let (at, word) = words.find(|(_, word)| word.starts_with(MARK))?;
    let place = |content: &Vec<u8>| content.chunks(8).position(|chunk| chunk == word);
    let content = contents.iter_mut().find(|content| place(content).is_some())?;
    let start = place(content)? * 8 + offset_bytes - at;
    if is_bare {
        let end = content.len().min(start + 600);
        content[start.saturating_sub(600)..end].fill(0);
    }
    content.get_mut(start..start + magic.len())?.copy_from_slice(magic);
    Some(())
}

/// How many signatures are mistaken at least, in the order of [`FORMATS`]: so many are by the
/// blkid of Debian 12 and 2.42, and a newer one asks more.
const MISTAKEN: [usize; 3] = [88, 100, 34];

/// The signature between zeros and, where it is a short one, among other bytes.
fn neighbours(signature: Signature) -> impl Iterator<Item = (Signature, bool)> {
    let ways = if signature.magic.len() < 4 { 2 } else { 1 };
    [true, false].into_iter().take(ways).map(move |is_bare| (signature, is_bare))
}

/// Of the sectors in which an XFS log may begin these are enough.
fn is_tried(signature: &Signature) -> bool {
    signature.format != "xfs_external_log" || signature.offset_bytes % (64 << 10) == 4096
}

#[test]
fn content_that_looks_like_another_format_is_told() {
    let scratch = Scratch::new("blkid-content");
    for (expected, least) in FORMATS.into_iter().zip(MISTAKEN) {
        let (plain, found) = image(expected, &marked());
        assert_eq!(found, [], "{}", expected.file_system);
        let mut mistaken = BTreeSet::new();
        for (signature, is_bare) in known().filter(is_tried).flat_map(neighbours) {
            let Signature { offset_bytes, magic, format } = signature;
            let mut contents = marked();
            if plant(&mut contents, &plain, signature, is_bare).is_none() {
                continue;
            }
            let (image, found) = image(expected, &contents);
            assert_eq!(&image[offset_bytes..][..magic.len()], magic, "{signature:?}");
            let said = wrong(&write_large(&scratch, &image), expected);
            if !said.is_empty() {
                assert!(found.contains(&signature), "{expected:?}: {signature:?}: {said:?}");
                mistaken.insert((format, offset_bytes, magic));
            }
        }
        let (format, count) = (expected.file_system, mistaken.len());
        assert!(count >= least, "{format}: {count}: {mistaken:?}");
    }
}

fn write_large(scratch: &Scratch, image: &[u8]) -> PathBuf {
    let path = scratch.path("image");
    std::fs::write(&path, image).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(LARGE_BYTES.max(image.len() as u64)).unwrap();
    path
}
