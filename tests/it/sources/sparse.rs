//! Files with holes: what was never written is not read either, and changes are found all the
//! same.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::Command;

use credimg::manifest::Source;
use credimg_formats::{Content, ErrorKind};

use super::*;

const LENGTH: u64 = 24 << 20;
/// What the file holds, and where; the rest was never written.
const DATA: [(u64, &[u8]); 3] =
    [(5_000_000, b"one"), (5_003_000, b"two"), (LENGTH - 9, b"the end.\n")];

/// A file of holes and little data.
fn sparse_file(host: &Host, name: &str) -> PathBuf {
    let path = host.write(name, "");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(LENGTH).unwrap();
    for (at, bytes) in DATA {
        file.write_all_at(bytes, at).unwrap();
    }
    assert!(file.metadata().unwrap().blocks() < 1000, "this file system makes no holes");
    path
}

fn expected() -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(LENGTH).unwrap()];
    for (at, data) in DATA {
        let at = usize::try_from(at).unwrap();
        bytes[at..at + data.len()].copy_from_slice(data);
    }
    bytes
}

/// Keeps what comes, and does something before each hole.
struct Holes<F: FnMut()> {
    bytes: Vec<u8>,
    zeros: u64,
    meddle: F,
}

impl<F: FnMut()> Holes<F> {
    fn new(meddle: F) -> Self {
        Self { bytes: Vec::new(), zeros: 0, meddle }
    }
}

impl<F: FnMut()> Write for Holes<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: FnMut()> Sink for Holes<F> {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        (self.meddle)();
        self.zeros += length_bytes;
        self.bytes.write_zeros(length_bytes)
    }
}

#[track_caller]
fn assert_holes(content: &Content) {
    let mut sink = Holes::new(|| {});
    content.stream(&mut sink).unwrap();
    assert!(sink.bytes == expected());
    // What lies in blocks with data is read, whatever the size of blocks here.
    assert!(sink.zeros > LENGTH - (1 << 20), "holes of {} bytes", sink.zeros);
}

#[test]
fn holes_are_told_wherever_a_file_lies() {
    let host = Host::empty();
    let path = sparse_file(&host, "tree/sparse");
    let tree = build(vec![
        entry("/file", Source::File(path.clone())),
        entry("/dir", Source::Dir(host.path("tree"))),
    ])
    .unwrap();
    assert_holes(content_of(&tree, "/file"));
    assert_holes(content_of(&tree, "/dir/sparse"));
}

/// The member begins at no multiple of a block, and so do its holes.
#[test]
fn holes_of_an_archive_are_told() {
    let host = Host::empty();
    let path = sparse_file(&host, "sparse");
    let archive = host.path("archive.tar");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(path.parent().unwrap()).args(["--format=ustar", "-cf"]);
    assert!(tar.arg(&archive).arg("sparse").status().unwrap().success());
    let mut dig = Command::new("fallocate");
    assert!(dig.arg("--dig-holes").arg(&archive).status().unwrap().success());
    assert!(std::fs::metadata(&archive).unwrap().blocks() < 1000);
    let tree = build(vec![entry("/", Source::Tar(archive))]).unwrap();
    assert_holes(content_of(&tree, "/sparse"));
}

#[test]
fn a_file_of_nothing_but_a_hole_and_one_that_ends_in_one() {
    let host = Host::empty();
    for (name, data) in [("empty", b"".as_slice()), ("start", b"start")] {
        let path = host.path(name);
        let file = File::create(&path).unwrap();
        file.write_all_at(data, 0).unwrap();
        file.set_len(LENGTH).unwrap();
        let tree = build(vec![entry("/f", Source::File(path))]).unwrap();
        let mut sink = Holes::new(|| {});
        content_of(&tree, "/f").stream(&mut sink).unwrap();
        assert_eq!(sink.bytes.len() as u64, LENGTH);
        assert!(sink.bytes.starts_with(data));
        assert!(sink.bytes[data.len()..].iter().all(|byte| *byte == 0), "{name}");
        assert!(sink.zeros > LENGTH - (1 << 20), "{name}");
    }
}

#[test]
fn changes_of_a_hole_are_found() {
    let changes: [fn(&File); 4] = [
        |file| file.write_all_at(b"filled", 1 << 20).unwrap(),
        |file| file.write_all_at(b"filled", 20 << 20).unwrap(),
        |file| file.set_len(LENGTH - 1).unwrap(),
        |file| file.set_len(100).unwrap(),
    ];
    for change in changes {
        let host = Host::empty();
        let path = sparse_file(&host, "sparse");
        let tree = build(vec![entry("/f", Source::File(path.clone()))]).unwrap();
        // The first hole is told when the file is opened, so a writer comes behind that.
        let meddle = || change(&OpenOptions::new().write(true).open(&path).unwrap());
        let mut sink = Holes::new(meddle);
        let error = content_of(&tree, "/f").stream(&mut sink).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed);
    }
}

/// It is read twice then, and both readings count holes as the zeros that they are.
#[test]
fn a_file_that_somebody_has_open_for_writing_keeps_its_holes() {
    let host = Host::empty();
    let path = sparse_file(&host, "sparse");
    let writer = OpenOptions::new().write(true).open(&path).unwrap();
    let tree = build(vec![entry("/f", Source::File(path))]).unwrap();
    assert_holes(content_of(&tree, "/f"));
    drop(writer);
}
