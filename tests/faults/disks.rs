//! Real disks that are too small, by every page: the old files stay, and the message is true.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const PAGE_BYTES: usize = 4096;
const OLD: &[u8] = b"the old image";
const MANIFEST: &str = "label: CHIMERA\ncredentials: [{name: token, text: demo}]\n\
                        files: [{path: /token, text: demo}, {path: /small, file: small}]\n";

/// A file system in memory of so many pages.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn new(at: &'a Path, pages: usize) -> Self {
        let options = format!("size={},mode=700", pages * PAGE_BYTES);
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(at);
        assert!(mount.status().unwrap().success(), "the tests run as root");
        Self(at)
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.0).unwrap().map(Result::unwrap);
        entries
            .map(|it| (it.file_name().into_string().unwrap(), fs::read(it.path()).unwrap()))
            .collect()
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(self.0).status().unwrap().success());
    }
}

fn build(directory: &Path, image: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    command.current_dir(directory).env("SOURCE_DATE_EPOCH", "1700000000").args([
        "build",
        "secrets.yaml",
        "-o",
        &format!("out/{image}"),
        "--args",
        "none",
        "--quiet",
        "--uuid",
        "00000000-0000-4000-8000-000000000001",
    ]);
    command.output().unwrap()
}

#[test]
fn a_disk_that_is_too_small_by_any_page_keeps_the_old_files() {
    let directory = TempDir::new().unwrap();
    let out = directory.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(directory.path().join("secrets.yaml"), MANIFEST).unwrap();
    fs::write(directory.path().join("small"), vec![b's'; 50_000]).unwrap();
    for image in ["a.erofs", "a.sqfs", "a.iso"] {
        let mut old: BTreeMap<_, _> =
            [image.to_owned(), format!("{image}.smbios")].map(|name| (name, OLD.to_vec())).into();
        old.insert(format!("{image}.sidecars"), b"smbios\n".to_vec());
        let mut outcomes = Vec::new();
        // The last one is large enough.
        for pages in 3..48 {
            let disk = Disk::new(&out, pages);
            for (name, content) in &old {
                fs::write(out.join(name), content).unwrap();
            }
            let output = build(directory.path(), image);
            let errors = String::from_utf8(output.stderr).unwrap();
            let context = format!("{image} on {pages} pages: {errors}");
            if output.status.success() {
                let files = disk.files();
                assert!(files.keys().eq(old.keys()), "{context}: {:?}", files.keys());
                assert!(files.values().all(|content| content != OLD), "{context}");
            } else {
                assert_eq!(output.status.code(), Some(7), "{context}");
                assert!(errors.contains("no space left on device"), "{context}");
                assert!(errors.contains("the old image is unchanged"), "{context}");
                assert!(disk.files() == old, "{context}");
            }
            outcomes.push(output.status.success());
        }
        outcomes.dedup();
        assert_eq!(outcomes, [false, true], "{image}");
    }
}
