//! `credimg ls` beside `ls` of GNU coreutils on a mount of the same image.

use std::path::Path;
use std::process::Command;

use super::images::{Image, Images, Kept};
use super::{done, refused, tool};

/// What `ls` prints of a tree, with headings as `credimg ls` has them and without the lines that
/// count blocks of a disk.
pub(crate) fn of_coreutils(root: &Path) -> String {
    let mut ls = Command::new("ls");
    ls.args(["-lnR", "--full-time", "-N"]).env("LC_ALL", "C").env("TZ", "UTC").current_dir(root);
    let text = String::from_utf8(tool(&mut ls)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("total "));
    lines
        .map(|line| match line.strip_prefix('.') {
            Some(":") => "/:\n".to_owned(),
            Some(path) if path.starts_with('/') => format!("{path}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect()
}

/// Without the blanks between columns, and of directories without the number of links and the
/// size, which each format counts in its own way.
fn without_sizes(listing: &str) -> Vec<String> {
    let line = |line: &str| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with('d') {
            words.remove(4);
            words.remove(1);
        }
        words.join(" ")
    };
    listing.lines().map(line).collect()
}

/// A listing is that of the kernel.
pub(crate) fn check(images: &Images, image: &Image, expected: &str) {
    let ls = |options: &[&str]| {
        let arguments = [&["ls", "-R", image.name][..], image.key, options].concat();
        String::from_utf8(done(images.directory(), &arguments)).unwrap()
    };
    let ours = ls(&["-l"]);
    if image.mounted_as.is_some() {
        assert_eq!(ours, expected, "{}", image.name);
    } else {
        let mut expected = without_sizes(expected);
        if image.xattrs != Kept::All {
            let without_list = |line: &mut String| *line = line.replacen("-+ ", "- ", 1);
            expected.iter_mut().for_each(without_list);
        }
        assert_eq!(without_sizes(&ours), expected, "{}", image.name);
    }
    let name = |line: &str| {
        let is_name = |word: &str| word == "+0000";
        let place = line.split(' ').position(is_name);
        let name = place.map(|place| line.splitn(place + 2, ' ').last().unwrap().to_owned());
        let name = name.unwrap_or_else(|| line.to_owned());
        format!("{}\n", name.split(" -> ").next().unwrap())
    };
    assert_eq!(ls(&[]), ours.lines().map(name).collect::<String>(), "{}", image.name);
}

#[test]
fn paths_are_listed_as_they_are_given() {
    let images = Images::new(&["ours.erofs"]);
    let ls = |arguments: &[&str]| {
        let arguments = [&["ls", "ours.erofs"], arguments].concat();
        String::from_utf8(done(images.directory(), &arguments)).unwrap()
    };
    assert_eq!(ls(&["/api/deep"]), "deeper\nlarge\nlink\nsparse\n");
    assert_eq!(ls(&["api/../api//deep/."]), "deeper\nlarge\nlink\nsparse\n");
    assert_eq!(ls(&["motd"]), "/motd\n");
    assert_eq!(ls(&["-d", "/api", "motd"]), "/api\n/motd\n");
    assert_eq!(ls(&["-d"]), "/\n");
    // A link is listed, and not what it leads to.
    assert_eq!(ls(&["absolute", "dangling"]), "/absolute\n/dangling\n");
    assert_eq!(
        ls(&["empty", "motd", "/api/deep/deeper"]),
        "/motd\n\n/empty:\n\n/api/deep/deeper:\nhard\n"
    );
    assert_eq!(ls(&["/empty"]), "");
}

#[test]
fn what_is_not_there_is_told_before_anything_is_listed() {
    let images = Images::new(&["ours.erofs", "locked.erofs", "locked.sqfs"]);
    for (path, reason) in [
        ("/nope", "/nope: there is no such file or directory in the image"),
        ("/motd/x", "/motd/x: /motd is no directory"),
        ("/absolute/x", "/absolute/x: /absolute is a symbolic link"),
    ] {
        let output = super::credimg(images.directory(), &["ls", "ours.erofs", "/", path]);
        assert_eq!(output.status.code(), Some(4));
        assert_eq!(output.stdout, b"");
        let message = super::stderr(&output);
        assert!(message.contains(&format!("ours.erofs: {reason}")), "{message}");
    }
    let message = refused(images.directory(), 2, &["ls", "-"]);
    assert!(message.contains("one is read in any order"), "{message}");
    let message = refused(images.directory(), 2, &["ls", "locked.erofs"]);
    assert!(message.contains("locked.erofs is encrypted"), "{message}");
    let message = refused(images.directory(), 2, &["ls", "ours.erofs", "--key-file", "key"]);
    assert!(message.contains("not encrypted"), "{message}");
    std::fs::write(images.path("other"), "another key").unwrap();
    super::images::private(&images.path("other"));
    let message = refused(images.directory(), 4, &["ls", "locked.sqfs", "--key-file", "other"]);
    assert!(message.contains("does not open locked.sqfs"), "{message}");
    let message = refused(images.directory(), 8, &["ls", "tree.yaml"]);
    assert!(message.contains("tree.yaml: "), "{message}");
}

#[test]
fn a_name_cannot_drive_a_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let manifest =
        "files: [{path: \"/a\\e[2Jb\", text: x}, {path: /l, symlink: \"to\\n\\e]0;x\"}]\n";
    std::fs::write(directory.path().join("m.yaml"), manifest).unwrap();
    done(directory.path(), &["build", "m.yaml", "-o", "i.erofs", "--args", "none"]);
    assert_eq!(done(directory.path(), &["ls", "i.erofs"]), b"\"a\\u{1b}[2Jb\"\nl\n");
    let long = String::from_utf8(done(directory.path(), &["ls", "-l", "i.erofs"])).unwrap();
    assert!(long.ends_with(" l -> \"to\\n\\u{1b}]0;x\"\n"), "{long}");
    let json = done(directory.path(), &["ls", "--json", "i.erofs"]);
    assert!(!json.contains(&0x1b));
}

#[test]
fn json_is_for_programs() {
    let images = Images::new(&["ours.erofs"]);
    let arguments = ["ls", "--json", "ours.erofs", "/null", "/absolute", "/api/token", "/empty"];
    let json: serde_json::Value =
        serde_json::from_slice(&done(images.directory(), &arguments)).unwrap();
    let mut entries = json["entries"].as_array().unwrap().clone();
    for entry in &mut entries {
        let entry = entry.as_object_mut().unwrap();
        assert!(entry.remove("inode").unwrap().is_u64());
        assert!(entry.remove("mtime_seconds").unwrap().as_i64() > Some(1_600_000_000));
    }
    assert_eq!(json["image"], "ours.erofs");
    assert_eq!(json["format"], "erofs");
    let expected = serde_json::json!([
        {"path": "/null", "kind": "char-device", "mode": "0644", "uid": 0, "gid": 0, "links": 1,
         "mtime_nanoseconds": 0, "device": [1, 3], "xattrs": []},
        {"path": "/absolute", "kind": "symlink", "mode": "0777", "uid": 1, "gid": 2, "links": 1,
         "mtime_nanoseconds": 0, "size_bytes": 10, "target": "/api/token", "xattrs": []},
        {"path": "/api/token", "kind": "file", "mode": "4750", "uid": 990, "gid": 70000,
         "links": 1, "mtime_nanoseconds": 0, "size_bytes": 7, "xattrs": []},
    ]);
    assert_eq!(serde_json::Value::from(entries), expected);
    let whole = done(images.directory(), &["ls", "--json", "-R", "ours.erofs"]);
    let whole: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    let entries = whole["entries"].as_array().unwrap();
    let count = walkdir::WalkDir::new(images.path("tree")).min_depth(1).into_iter().count();
    assert_eq!(entries.len(), count);
    let note = entries.iter().find(|entry| entry["path"] == "/motd").unwrap();
    assert_eq!(note["xattrs"], serde_json::json!([{"name": "user.note", "size_bytes": 7}]));
}
