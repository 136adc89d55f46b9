//! Images of which names and numbers were changed by hand: nothing comes outside, and what is
//! wrong is told, with exit code 8.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{credimg, done, stderr, tool};

/// Names that are patched; each stands in the image once, but for records of several kinds.
const TREE: &[&str] = &["twin-1", "twin-2", "outward-1", "outward-2", "plain"];

/// An image whose names stand in it as they are, without a checksum over them.
fn image(scene: &Path, format: &str) -> Vec<u8> {
    let tree = scene.join("tree");
    if !tree.exists() {
        fs::create_dir(&tree).unwrap();
        for name in TREE {
            fs::write(tree.join(name), "x").unwrap();
        }
        fs::create_dir_all(tree.join("spot-1/inner")).unwrap();
        std::os::unix::fs::symlink("../outside", tree.join("spot-0")).unwrap();
        fs::write(tree.join("spot-1/inner/file"), "through the link").unwrap();
        fs::create_dir_all(tree.join("loop/inside/more")).unwrap();
    }
    let image = scene.join("i");
    let _ = fs::remove_file(&image);
    match format {
        "erofs" => {
            tool(Command::new("mkfs.erofs").arg("-Enosbcrc").arg(&image).arg(&tree));
        }
        "squashfs" => {
            let mut mksquashfs = Command::new("mksquashfs");
            mksquashfs.arg(&tree).arg(&image).args(["-quiet", "-no-progress", "-noI", "-noD"]);
            tool(mksquashfs.args(["-noF", "-noX"]));
        }
        _ => {
            let mut xorriso = Command::new("xorriso");
            xorriso.args(["-as", "mkisofs", "-quiet", "-R", "-o"]).arg(&image).arg(&tree);
            tool(&mut xorriso);
        }
    }
    fs::read(image).unwrap()
}

/// Replaces all of one text by another of its length; how often.
fn patch(bytes: &mut [u8], from: &[u8], to: &[u8]) -> usize {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = memchr::memmem::find_iter(bytes, from).collect();
    for place in &places {
        bytes[*place..place + to.len()].copy_from_slice(to);
    }
    places.len()
}

fn scene() -> TempDir {
    let scene = TempDir::new().unwrap();
    fs::create_dir_all(scene.path().join("outside/inner")).unwrap();
    fs::write(scene.path().join("outside/file"), "outside").unwrap();
    scene
}

fn outside(scene: &Path) -> Vec<std::path::PathBuf> {
    let entries = walkdir::WalkDir::new(scene).sort_by_file_name().into_iter();
    let paths = entries.map(|entry| entry.unwrap().path().to_owned());
    let is_input = |path: &Path| path.starts_with(scene.join("tree")) || path == scene.join("i");
    paths.filter(|path| !path.starts_with(scene.join("in")) && !is_input(path)).collect()
}

/// Extracts, and looks that nothing else has changed; what is said of the image.
fn extracted(scene: &Path, what: &str) -> String {
    let _ = fs::remove_dir_all(scene.join("in"));
    let before = outside(scene);
    let output = credimg(scene, &["extract", "i", "in", "--force"]);
    assert_eq!(output.status.code(), Some(8), "{what}: {}", stderr(&output));
    assert_eq!(outside(scene), before, "{what}");
    assert_eq!(fs::read(scene.join("outside/file")).unwrap(), b"outside");
    stderr(&output)
}

#[test]
fn names_that_lead_outside_are_refused() {
    for format in ["erofs", "squashfs", "iso9660"] {
        let scene = scene();
        let whole = image(scene.path(), format);
        for (from, to) in [
            ("outward-1", "../out-01"),
            ("outward-1", "/outward1"),
            ("outward-1", "out/ward1"),
            ("outward-1", "out\0ward1"),
        ] {
            let mut bytes = whole.clone();
            assert!(patch(&mut bytes, from.as_bytes(), to.as_bytes()) > 0, "{format}");
            fs::write(scene.path().join("i"), bytes).unwrap();
            let message = extracted(scene.path(), &format!("{format}: {to:?}"));
            assert!(message.starts_with("credimg: error: i: "), "{message}");
        }
    }
}

#[test]
fn two_entries_of_one_name_are_refused() {
    for format in ["erofs", "squashfs", "iso9660"] {
        let scene = scene();
        let whole = image(scene.path(), format);
        // The second is a directory, and the first a link out of the image.
        for (from, to) in [("twin-2", "twin-1"), ("spot-1", "spot-0")] {
            let mut bytes = whole.clone();
            assert!(patch(&mut bytes, from.as_bytes(), to.as_bytes()) > 0, "{format}");
            fs::write(scene.path().join("i"), bytes).unwrap();
            let message = extracted(scene.path(), &format!("{format}: {to}"));
            let reasons = ["two entries of one name", "are not sorted"];
            let is_told = reasons.iter().any(|reason| message.contains(reason));
            assert!(is_told, "{format}: {message}");
        }
    }
}

/// The number of an inode of EROFS.
fn nid(scene: &Path, path: &str) -> u64 {
    let (option, before) = match path {
        "/" => ("-s".to_owned(), "Filesystem root nid:"),
        _ => (format!("--path={path}"), "NID:"),
    };
    let dump = tool(Command::new("dump.erofs").arg(option).arg(scene.join("i")));
    let dump = String::from_utf8(dump).unwrap();
    dump.split(before).nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_directory_inside_itself_has_an_end() {
    let scene = scene();
    let whole = image(scene.path(), "erofs");
    let nid = |path: &str| nid(scene.path(), path).to_le_bytes();
    let (root, above, inside, more) =
        (nid("/"), nid("/loop"), nid("/loop/inside"), nid("/loop/inside/more"));
    for (what, of, to) in [
        ("the root", inside, root),
        ("the directory above", inside, above),
        ("itself", more, inside),
    ] {
        let mut bytes = whole.clone();
        // An entry of a directory of EROFS: the inode, the offset of the name, the kind 2.
        let entries = bytes.windows(12).enumerate();
        let is_entry = |window: &[u8]| window[..8] == of && window[10] == 2 && window[9] < 16;
        let places: Vec<usize> =
            entries.filter(|(_, window)| is_entry(window)).map(|(at, _)| at).collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at..at + 8].copy_from_slice(&to);
        }
        fs::write(scene.path().join("i"), bytes).unwrap();
        extracted(scene.path(), what);
        let output = credimg(scene.path(), &["ls", "-lR", "i"]);
        assert_eq!(output.status.code(), Some(8), "{what}: {}", stderr(&output));
    }
}

#[test]
fn the_images_are_good_before_they_are_changed() {
    for format in ["erofs", "squashfs", "iso9660"] {
        let scene = scene();
        image(scene.path(), format);
        done(scene.path(), &["extract", "i", "in", "--quiet"]);
        let found = fs::read(scene.path().join("in/spot-1/inner/file")).unwrap();
        assert_eq!(found, b"through the link");
        assert!(scene.path().join("in/spot-0").is_symlink());
    }
}
