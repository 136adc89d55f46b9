//! The reader of ISO 9660 on more trees, and on files that take several sections.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use credimg_formats::iso9660::{Options, Plan, Reader};
use credimg_formats::read::{Limits, Reader as _};
use credimg_formats::{Content, Kind, Tree};

use crate::readers::iso9660::{foreign, own};
use crate::support::host::{Scratch, SparseSink, Whole, run};
use crate::support::{file, name, plain};

#[test]
fn our_own_iso_9660_images_of_500_trees_are_read() {
    assert_eq!(own::compare(0..500), 500);
}

/// 28 trees in each of 18 ways.
#[test]
fn images_504_of_genisoimage_and_xorriso_are_read() {
    assert_eq!(foreign::compare("iso9660-foreign-long", 0..28), 504);
}

const LARGE_BYTES: u64 = (9 << 30) + 4097;
/// Where the file has a byte that is not zero.
const MARKS: [u64; 6] = [0, (4 << 30) - 2048, 4 << 30, (8 << 30) - 1, 9 << 30, LARGE_BYTES - 1];

/// A file of 9 GiB is cut into sections, each where the writer likes to. The images have holes
/// on the host.
#[test]
fn large_files_of_several_sections_are_read() {
    let scratch = Scratch::new("iso9660-large");
    let (from, to) = (scratch.path("from"), scratch.path("large.iso"));
    std::fs::create_dir(&from).unwrap();
    let source = File::create_new(from.join("large")).unwrap();
    source.set_len(LARGE_BYTES).unwrap();
    for offset in MARKS {
        source.write_all_at(b"x", offset).unwrap();
    }
    std::fs::write(from.join("small"), b"small").unwrap();
    let command = format!(
        "xorriso -as mkisofs -quiet -R -iso-level 3 '{}' | \
            dd of='{}' bs=1M iflag=fullblock conv=sparse status=none",
        from.display(),
        to.display()
    );
    run(Command::new("sh").args(["-c", &command]));
    judge("xorriso", &to);

    let mut tree = Tree::new(plain(0o755));
    let source = Box::new(Whole(from.join("large")));
    let large = Content::Stream { length_bytes: LARGE_BYTES, source };
    tree.insert(Tree::ROOT, name("large"), plain(0o400), Kind::File(large)).unwrap();
    tree.insert(Tree::ROOT, name("small"), plain(0o400), file(b"small")).unwrap();
    let mut sink = SparseSink::create(&to);
    Plan::new(&tree, Options::new()).unwrap().write(&mut sink).unwrap();
    sink.finish();
    judge("our writer", &to);
}

fn judge(tool: &str, path: &Path) {
    let image = File::open(path).unwrap();
    let limits = Limits::for_image(image.metadata().unwrap().len());
    let reader = Reader::open(Box::new(image), limits).unwrap();
    let large = reader.lookup(reader.root(), b"large").unwrap().unwrap();
    assert_eq!(reader.stat(large).unwrap().size_bytes, LARGE_BYTES, "{tool}");
    let (mut extents, mut end) = (0, 0);
    reader
        .extents(large, &mut |extent| {
            assert_eq!(extent.file_offset_bytes, end, "{tool}");
            end += extent.length_bytes;
            extents += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!((extents, end), (3, LARGE_BYTES), "{tool}");
    for offset in MARKS {
        let start = offset.saturating_sub(5000);
        let mut piece = [0; 10_000];
        let got = reader.read_at(large, start, &mut piece).unwrap() as u64;
        assert_eq!(got, (LARGE_BYTES - start).min(10_000), "{tool}");
        let found: Vec<u64> =
            (start..).zip(&piece).filter(|(_, byte)| **byte != 0).map(|(at, _)| at).collect();
        let expected: Vec<u64> =
            MARKS.into_iter().filter(|mark| (start..start + got).contains(mark)).collect();
        assert_eq!(found, expected, "{tool}");
    }
    let small = reader.lookup(reader.root(), b"small").unwrap().unwrap();
    let mut content = Vec::new();
    reader.stream(small, &mut content).unwrap();
    assert_eq!(content, b"small");
    let mut told = crate::readers::told::Told::default();
    reader.account(&mut told).unwrap();
    assert!(told.problems.is_empty(), "{tool}: {:?}", told.problems);
}
