//! `credimg cat`.

use std::fs;
use std::process::{Command, Stdio};

use super::images::{Image, Images};
use super::{done, refused, stderr};

/// Content is that of the tree.
pub(crate) fn check(images: &Images, image: &Image) {
    let paths = ["api/token", "api/deep/large", "api/deep/sparse", "api/nothing", "motd"];
    let content = |path: &&str| fs::read(images.path("tree").join(path)).unwrap();
    let expected: Vec<u8> = paths.iter().flat_map(content).collect();
    let arguments = [&["cat", image.name][..], &paths, image.key].concat();
    assert!(done(images.directory(), &arguments) == expected, "{}", image.name);
}

#[test]
fn links_are_followed_inside_the_image() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = "files:\n- {path: /a/b/file, text: inside}\n- {path: /up, symlink: ../../a}\n\
                    - {path: /a/to, symlink: /up/b/../b}\n- {path: /passwd, symlink: /etc/passwd}\n\
                    - {path: /one, symlink: two}\n- {path: /two, symlink: one}\n";
    fs::write(directory.path().join("m.yaml"), manifest).unwrap();
    done(directory.path(), &["build", "m.yaml", "-o", "i.sqfs", "--args", "none"]);
    assert_eq!(done(directory.path(), &["cat", "i.sqfs", "a/to/file"]), b"inside");
    let message = refused(directory.path(), 4, &["cat", "i.sqfs", "/passwd"]);
    assert!(message.contains("/passwd: there is no such file"), "{message}");
    let message = refused(directory.path(), 4, &["cat", "i.sqfs", "one"]);
    assert!(message.contains("more than 40 symbolic links"), "{message}");
    let message = refused(directory.path(), 4, &["cat", "i.sqfs", "a/b/file", "a"]);
    assert!(message.contains("a: expected a file, got a directory"), "{message}");
}

#[test]
fn what_is_no_file_is_refused_before_anything_is_written() {
    let images = Images::new(&["ours.erofs"]);
    for (path, what) in
        [("null", "a device"), ("disk", "a device"), ("pipe", "a FIFO"), ("/", "a directory")]
    {
        let output = super::credimg(images.directory(), &["cat", "ours.erofs", "motd", path]);
        assert_eq!(output.status.code(), Some(4));
        assert_eq!(output.stdout, b"");
        assert!(stderr(&output).contains(&format!("expected a file, got {what}")));
    }
}

/// What a terminal sees of a command, and its exit code.
fn on_a_terminal(images: &Images, arguments: &str) -> (String, Option<i32>) {
    let command = format!("{} {arguments}", env!("CARGO_BIN_EXE_credimg"));
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(images.directory());
    let output = script.stdin(Stdio::null()).output().unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[test]
fn a_terminal_gets_text_alone() {
    let images = Images::new(&["ours.erofs"]);
    let (seen, code) = on_a_terminal(&images, "cat ours.erofs motd");
    assert_eq!((&*seen, code), ("hello\r\n", Some(0)));
    for path in ["api/deep/large", "api/deep/sparse"] {
        let (seen, code) = on_a_terminal(&images, &format!("cat ours.erofs {path}"));
        assert_eq!(code, Some(2), "{seen}");
        assert!(seen.contains("what is no text is not written to a terminal"), "{seen}");
        assert!(seen.contains("--force"), "{seen}");
        let (seen, code) = on_a_terminal(&images, &format!("cat ours.erofs --force {path}"));
        assert_eq!(code, Some(0));
        assert!(!seen.contains("credimg"), "{path}");
    }
}

#[test]
fn what_cannot_be_written_is_told() {
    let images = Images::new(&["ours.erofs", "ours.sqfs", "ours.iso"]);
    for arguments in [
        &["cat", "ours.erofs", "motd"][..],
        &["cat", "ours.sqfs", "api/deep/large"],
        &["cat", "ours.iso", "api/deep/sparse"],
        &["ls", "-lR", "ours.erofs"],
        &["ls", "--json", "ours.erofs"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.current_dir(images.directory()).args(arguments);
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(7));
        let expected = "credimg: error: cannot write to standard output: no space left on device\n";
        assert_eq!(stderr(&output), expected);
    }
}
