//! Equal files, of which EROFS stores one, are compared before the image is written: what
//! changes in between is found.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use credimg::manifest::Source;
use credimg_formats::{ErrorKind, erofs};

use super::*;

/// Too large to be kept in memory; with and without a tail behind whole blocks.
const LENGTHS: [usize; 2] = [1_200_000, 300 * 4096];

fn tree_of(host: &Host, length: usize) -> (Tree, [PathBuf; 2]) {
    let paths = ["a", "b"].map(|name| host.write(name, vec![b'x'; length]));
    let entries = [("/a", &paths[0]), ("/b", &paths[1])];
    let entries = entries.map(|(at, path)| entry(at, Source::File(path.clone())));
    (build(entries.to_vec()).unwrap(), paths)
}

#[test]
fn a_file_that_changes_after_it_was_compared_is_named() {
    let host = Host::empty();
    let changes: [fn(&Path, u64); 3] = [
        |path, _| OpenOptions::new().write(true).open(path).unwrap().write_all_at(b"y", 0).unwrap(),
        |path, length| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(length - 5000).unwrap();
        },
        |path, length| {
            let other = path.with_extension("other");
            std::fs::write(&other, vec![b'z'; usize::try_from(length).unwrap()]).unwrap();
            std::fs::rename(other, path).unwrap();
        },
    ];
    for length in LENGTHS {
        for change in changes {
            for changed in [0, 1] {
                let (tree, paths) = tree_of(&host, length);
                let plan = erofs::Plan::new(&tree, erofs::Options::default()).unwrap();
                assert!(plan.size_bytes() < length as u64 + 4 * 4096, "both are stored");
                change(&paths[changed], length as u64);
                let error = plan.write(&mut Vec::new()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Changed);
                let path = ["/a", "/b"][changed].as_bytes();
                assert_eq!(error.path(), Some(path), "{error}");
            }
        }
    }
}

#[test]
fn a_file_that_changes_before_it_is_compared_is_named() {
    let host = Host::empty();
    for changed in [0, 1] {
        let (tree, paths) = tree_of(&host, LENGTHS[0]);
        let file = OpenOptions::new().write(true).open(&paths[changed]).unwrap();
        file.write_all_at(b"y", 1_000_000).unwrap();
        drop(file);
        let error = erofs::Plan::new(&tree, erofs::Options::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed);
        assert_eq!(error.path(), Some(["/a", "/b"][changed].as_bytes()));
    }
}

#[test]
fn what_is_stored_once_comes_back_twice() {
    let host = Host::empty();
    for length in LENGTHS {
        let (tree, paths) = tree_of(&host, length);
        let writer = OpenOptions::new().write(true).open(&paths[1]).unwrap();
        let mut image = Vec::new();
        erofs::Plan::new(&tree, erofs::Options::default()).unwrap().write(&mut image).unwrap();
        drop(writer);
        let tail = length % 4096;
        let bytes: usize = image.iter().map(|byte| usize::from(*byte == b'x')).sum();
        assert_eq!(bytes, length - tail + 2 * tail);
    }
}
