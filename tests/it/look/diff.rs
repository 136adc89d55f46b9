//! `credimg diff`: what differs, exactly, and never a value.

use std::fs;

use crate::look::images::Images;
use crate::look::{credimg, done, refused, stderr};

const CANARY: &str = "c4n4ry-do-not-show";

#[test]
fn images_of_one_tree_are_alike_in_every_format() {
    let names = ["ours.erofs", "ours.sqfs", "ours.iso", "locked.erofs", "locked.sqfs", "gzip.sqfs"];
    let images = Images::new(&names);
    let key = ["--key-file", "key"];
    // SquashFS holds no access lists, and is compared in whole seconds.
    let lists = "M /api/nothing xattrs\n";
    for (old, new, options, expected) in [
        ("ours.erofs", "ours.erofs", &[][..], ""),
        ("ours.erofs", "locked.erofs", &key, ""),
        ("locked.erofs", "ours.erofs", &key, ""),
        ("ours.erofs", "ours.iso", &[], ""),
        ("ours.sqfs", "ours.iso", &[], ""),
        ("ours.erofs", "ours.sqfs", &[], lists),
        ("locked.erofs", "locked.sqfs", &key, lists),
        ("ours.sqfs", "gzip.sqfs", &[], ""),
    ] {
        let arguments = [&["diff", old, new], options].concat();
        let output = credimg(images.directory(), &arguments);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!((&*told, stderr(&output)), (expected, String::new()), "{arguments:?}");
        let code = i32::from(!expected.is_empty());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

const OLD: &str = "label: ONE
files:
- {path: /content, text: c4n4ry-do-not-show}
- {path: /length, text: c4n4ry-do-not-show}
- {path: /mode, text: same}
- {path: /owner, text: same}
- {path: /time, text: same, mtime: 5}
- {path: /gone, text: same}
- {path: /link, symlink: c4n4ry-do-not-show}
- {path: /xattr, text: same, xattrs: {user.a: c4n4ry-do-not-show}}
- {path: /kind/of, text: same}
pseudo: ['/node c 600 0 0 1 3', '/same f 400 0 0 printf same', '/hard L same', '/cut f 400 0 0 printf x']
";
const NEW: &str = "label: TWO
files:
- {path: /content, text: c4n4ry-Do-not-show}
- {path: /length, text: c4n4ry-do-not-show!}
- {path: /mode, text: same, mode: '0444'}
- {path: /owner, text: same, owner: '1:0'}
- {path: /time, text: same, mtime: 6}
- {path: /link, symlink: c4n4ry-do-not-Show}
- {path: /xattr, text: same, xattrs: {user.a: c4n4ry-do-not-Show}}
- {path: /kind, text: same}
- {path: /new/a, text: same}
- {path: '/a name', text: same}
pseudo: ['/node c 600 0 0 1 4', '/same f 400 0 0 printf same', '/hard f 400 0 0 printf same', '/cut L same']
";
const LINES: &str = "V label
+ /a name
M /content content
M /cut content links
- /gone
M /hard links
M /kind kind mode
- /kind/of
M /length content
M /link target
M /mode mode
+ /new
+ /new/a
M /node device
M /owner owner
M /same links
M /time time
M /xattr xattrs
";

fn build(images: &Images, manifest: &str, name: &str, options: &[&str]) {
    fs::write(images.path("manifest"), manifest).unwrap();
    let common = ["build", "manifest", "-o", name, "--mtime", "7", "--allow-devices", "--quiet"];
    done(images.directory(), &[&common, options, &["--args", "none"]].concat());
}

#[test]
fn every_respect_is_told_by_its_name_alone() {
    let images = Images::new(&[]);
    build(&images, OLD, "old.erofs", &[]);
    build(&images, NEW, "new.erofs", &[]);
    let output = credimg(images.directory(), &["diff", "old.erofs", "new.erofs"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), LINES);
    assert_eq!((output.status.code(), stderr(&output)), (Some(1), String::new()));
    // The other way around, what was added is gone.
    let output = credimg(images.directory(), &["diff", "new.erofs", "old.erofs"]);
    let swapped = LINES.replace("+ ", "\0").replace("- ", "+ ").replace('\0', "- ");
    assert_eq!(String::from_utf8_lossy(&output.stdout), swapped);

    let output = credimg(images.directory(), &["diff", "old.erofs", "new.erofs", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let (label, differences) = json["differences"].as_array().unwrap().split_first().unwrap();
    let expected = serde_json::json!({"path": "/", "change": "volume", "respects": ["label"]});
    assert_eq!(*label, expected);
    assert_eq!(differences.len(), LINES.lines().count() - 1);
    let expected = serde_json::json!({"path": "/a name", "change": "added", "respects": []});
    assert_eq!(differences[0], expected);
    let expected =
        serde_json::json!({"path": "/cut", "change": "changed", "respects": ["content", "links"]});
    assert_eq!(differences[2], expected);
    let shown = String::from_utf8_lossy(&output.stdout).to_lowercase();
    assert!(!shown.contains(CANARY) && !shown.contains("c4n4ry"), "{shown}");
}

#[test]
fn each_image_has_its_own_key_where_it_has_one() {
    let images = Images::new(&["ours.erofs"]);
    for (name, key) in [("one", "correct horse"), ("other", "battery staple")] {
        fs::write(images.path(name), key).unwrap();
        crate::look::images::private(&images.path(name));
        let options = ["--encrypt", "luks2", "--key-file", name];
        build(&images, OLD, &format!("{name}.erofs"), &options);
    }
    let at = images.directory();
    let keys = ["--key-file", "one", "--new-key-file", "other"];
    done(at, &[&["diff", "one.erofs", "other.erofs"], &keys[..]].concat());
    let said = refused(at, 4, &["diff", "one.erofs", "other.erofs", "--key-file", "one"]);
    assert!(said.contains("the key in one does not open other.erofs"), "{said}");
    let said = refused(at, 2, &["diff", "one.erofs", "other.erofs"]);
    assert!(said.contains("one.erofs is encrypted"), "{said}");
    let idle = "has no meaning for an image that is not encrypted";
    let said = refused(at, 2, &["diff", "ours.erofs", "ours.erofs", "--key-file", "one"]);
    assert!(said.contains(&format!("--key-file {idle}")), "{said}");
    let said = refused(at, 2, &["diff", "ours.erofs", "ours.erofs", "--new-key-file", "one"]);
    assert!(said.contains(&format!("--new-key-file {idle}")), "{said}");
    for (old, new) in [("key", "ours.erofs"), ("ours.erofs", "key")] {
        let said = refused(at, 8, &["diff", old, new]);
        assert!(said.contains("key: not an image"), "{said}");
    }
    let said = refused(at, 2, &["diff", "-", "ours.erofs"]);
    assert!(said.contains("- is no image"), "{said}");
}
