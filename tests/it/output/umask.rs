//! The image and its temporary are 0600 under any umask. The umask belongs to
//! the whole process, so this test has a process of its own.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use credimg::host::output::{OutputFile, Permissions};
use rustix::fs::Mode;
use rustix::process::umask;
use tempfile::TempDir;

use crate::support::alone::alone;

#[test]
fn the_image_is_private_under_any_umask() {
    if !alone(concat!(module_path!(), "::the_image_is_private_under_any_umask")) {
        return;
    }
    for mask in [0o000, 0o022, 0o077, 0o177, 0o777] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("image");
        let before = umask(Mode::from_raw_mode(mask));
        let mut output = OutputFile::create(&path, Permissions::default()).unwrap();
        assert_eq!(unnamed(directory.path()), [0o600], "umask {mask:03o}");
        output.write_all(&vec![1; 1 << 20]).unwrap();
        assert_eq!(unnamed(directory.path()), [0o600], "umask {mask:03o}");
        assert!(modes(directory.path()).is_empty());
        output.commit().unwrap();
        assert_eq!(modes(directory.path()), [0o600], "umask {mask:03o}");
        umask(before);
    }
}

/// The modes of the files without a name in `directory` that this process has open.
fn unnamed(directory: &Path) -> Vec<u32> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_in = |path: &Path| fs::read_link(path).is_ok_and(|to| to.starts_with(directory));
    let found = paths.filter(|path| is_in(path)).map(|path| fs::metadata(path).unwrap());
    let files = found.filter(fs::Metadata::is_file);
    files.map(|file| file.permissions().mode() & 0o7777).collect()
}

/// The modes of all files in `directory`.
fn modes(directory: &Path) -> Vec<u32> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().permissions().mode() & 0o7777)
        .collect()
}
