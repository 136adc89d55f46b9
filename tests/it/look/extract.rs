//! `credimg extract`: what comes of it, and that nothing comes elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::images::{Image, Images, Kept, facts};
use super::{credimg, done, refused, stderr, tool};

/// What is extracted with everything is what the kernel shows.
pub(crate) fn check(images: &Images, image: &Image, expected: &BTreeMap<PathBuf, String>) {
    let to = format!("extracted {}", image.name);
    let options = ["--preserve", "--owners", "--devices", "--xattrs", "--quiet"];
    let arguments = [&["extract", image.name, &to][..], image.key, &options].concat();
    assert_eq!(done(images.directory(), &arguments), b"");
    assert_eq!(facts(&images.path(&to), image.xattrs), *expected, "{}", image.name);
    let sparse = fs::metadata(images.path(&to).join("api/deep/sparse")).unwrap();
    // What mksquashfs finds out, and we do, of zeros; EROFS knows none in this tree.
    if image.name.ends_with("sqfs") {
        assert!(sparse.blocks() * 512 < 300_000, "{}: {} blocks", image.name, sparse.blocks());
    }
}

#[test]
fn files_are_private_under_any_umask() {
    let images = Images::new(&["ours.erofs"]);
    for umask in ["000", "022", "777"] {
        let to = format!("out{umask}");
        let script = format!(
            "umask {umask}; exec {} extract ours.erofs {to} --quiet",
            env!("CARGO_BIN_EXE_credimg")
        );
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &script]).current_dir(images.directory()).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(
            stderr(&output),
            "credimg: warning: left out 2 devices: --devices makes them, as root\n"
        );
        let mut count = 0;
        for entry in walkdir::WalkDir::new(images.path(&to)) {
            let metadata = entry.unwrap().metadata().unwrap();
            let kind = metadata.file_type();
            assert!(!kind.is_char_device() && !kind.is_block_device());
            let expected = if kind.is_dir() { 0o700 } else { 0o600 };
            if !kind.is_symlink() {
                assert_eq!(metadata.mode() & 0o7777, expected);
            }
            assert_eq!((metadata.uid(), metadata.gid()), (0, 0));
            assert!(metadata.mtime() > 1_700_000_000 || umask.is_empty());
            count += 1;
        }
        let all = walkdir::WalkDir::new(images.path("tree")).into_iter().count();
        assert_eq!(count, all - 2);
    }
}

#[test]
fn what_is_kept_of_the_caller_is_not_the_callers_rights() {
    let images = Images::new(&["ours.erofs"]);
    done(images.directory(), &["extract", "ours.erofs", "out", "--preserve", "-q"]);
    let token = fs::metadata(images.path("out/api/token")).unwrap();
    assert_eq!((token.mode() & 0o7777, token.uid()), (0o750, 0));
    assert_eq!(fs::metadata(images.path("out/empty")).unwrap().mode() & 0o7777, 0o1777);
    assert_eq!(fs::metadata(images.path("out/api/deep")).unwrap().mode() & 0o7777, 0o711);
}

/// Runs the program as a user that is not root, in the directory of the images.
fn as_other_user(images: &Images, arguments: &str) -> Output {
    fs::set_permissions(images.directory(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = images.path("credimg");
    if !program.exists() {
        crate::support::host::copy_program(&program);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let script = format!("umask 077; exec ./credimg {arguments}");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "1234", "--regid", "1234", "--clear-groups", "sh", "-c", &script]);
    command.current_dir(images.directory()).output().unwrap()
}

#[test]
fn directories_that_shut_their_owner_out_are_kept_so() {
    let images = Images::new(&[]);
    for (name, mode) in [("shut", 0o000), ("passed", 0o111), ("read", 0o400)] {
        let directory = images.path("shut-tree").join("in").join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("file"), "x").unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut make = Command::new("mksquashfs");
    make.args(["shut-tree", "shut.sqfs", "-no-progress", "-quiet"]);
    tool(make.current_dir(images.directory()));
    let image = images.path("shut.sqfs");
    fs::set_permissions(&image, fs::Permissions::from_mode(0o644)).unwrap();
    let output = as_other_user(&images, "extract shut.sqfs out --preserve");
    assert_eq!(stderr(&output), "extracted 3 files into out\n");
    assert_eq!(output.status.code(), Some(0));
    for (name, mode) in [("shut", 0o000), ("passed", 0o111), ("read", 0o400)] {
        let directory = images.path("out/in").join(name);
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o7777, mode, "{name}");
        assert_eq!(fs::read(directory.join("file")).unwrap(), b"x", "{name}");
    }
}

#[test]
fn root_alone_gets_owners_and_devices() {
    let images = Images::new(&["ours.erofs"]);
    fs::set_permissions(images.path("ours.erofs"), fs::Permissions::from_mode(0o644)).unwrap();
    let run = |options: &str| as_other_user(&images, &format!("extract ours.erofs {options}"));
    for option in ["--owners", "--devices"] {
        let output = run(&format!("none {option}"));
        assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
        assert!(stderr(&output).contains(&format!("{option} is for root alone")));
        assert!(!images.path("none").exists());
    }
    let output = run("mine --preserve");
    assert!(output.status.success(), "{}", stderr(&output));
    let token = fs::metadata(images.path("mine/api/token")).unwrap();
    assert_eq!((token.mode() & 0o7777, token.uid(), token.gid()), (0o750, 1234, 1234));
}

#[test]
fn paths_are_extracted_with_what_is_below_them() {
    let images = Images::new(&["ours.sqfs"]);
    let paths = ["/api/deep/deeper", "motd", "api/deep", "/api/deep/link"];
    let arguments = [&["extract", "ours.sqfs", "out"][..], &paths].concat();
    let output = credimg(images.directory(), &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "extracted 4 files into out\n");
    let found: Vec<_> = facts(&images.path("out"), Kept::None).into_keys().collect();
    let expected = [
        "api",
        "api/deep",
        "api/deep/deeper",
        "api/deep/deeper/hard",
        "api/deep/large",
        "api/deep/link",
        "api/deep/sparse",
        "motd",
    ];
    assert_eq!(found, expected.map(PathBuf::from));
    // Of one inode there is one file.
    let ino = |name: &str| fs::metadata(images.path(name)).unwrap().ino();
    assert_eq!(ino("out/motd"), ino("out/api/deep/deeper/hard"));
}

/// The image may be the only copy of what is in it.
#[test]
fn what_is_extracted_from_is_never_replaced() {
    let images = Images::new(&["ours.erofs"]);
    fs::create_dir(images.path("out")).unwrap();
    let old = fs::read(images.path("ours.erofs")).unwrap();
    fs::rename(images.path("ours.erofs"), images.path("out/motd")).unwrap();
    symlink("out/motd", images.path("link")).unwrap();
    for (image, directory) in [("out/motd", "out"), ("link", "out"), ("motd", ".")] {
        let at = images.path(if directory == "." { "out" } else { "" });
        let message = refused(&at, 2, &["extract", image, directory, "motd", "--force"]);
        assert!(message.contains("motd would replace what it is extracted from"), "{message}");
        assert!(message.contains("hint: extract into another directory"), "{message}");
        assert!(fs::read(images.path("out/motd")).unwrap() == old);
    }
}

#[test]
fn nothing_is_replaced_without_being_asked() {
    let images = Images::new(&["ours.erofs"]);
    let at = |name: &str| images.path("out").join(name);
    fs::create_dir(images.path("out")).unwrap();
    fs::write(at("motd"), "mine").unwrap();
    fs::hard_link(at("motd"), images.path("also mine")).unwrap();
    let message = refused(images.directory(), 7, &["extract", "ours.erofs", "out", "motd"]);
    assert!(message.contains("cannot make out/motd: file exists"), "{message}");
    assert!(message.contains("--force replaces files and links"), "{message}");
    assert_eq!(fs::read(at("motd")).unwrap(), b"mine");
    // What is there before the failure stays, and that is told.
    let message = refused(images.directory(), 7, &["extract", "ours.erofs", "out"]);
    assert!(message.contains("what was extracted before stays in out"), "{message}");
    assert!(at("absolute").is_symlink() && at("api/token").is_file());
    done(images.directory(), &["extract", "ours.erofs", "out", "--force", "--quiet"]);
    assert_eq!(fs::read(at("motd")).unwrap(), b"hello\n");
    // It is replaced, not written into.
    assert_eq!(fs::read(images.path("also mine")).unwrap(), b"mine");
    // A second time as well, links and pipes included, and nothing else is left.
    done(images.directory(), &["extract", "ours.erofs", "out", "--force", "--quiet"]);
    assert_eq!(
        facts(&images.path("out"), Kept::None).len(),
        facts(&images.path("tree"), Kept::None).len() - 2
    );

    fs::remove_file(at("motd")).unwrap();
    fs::create_dir(at("motd")).unwrap();
    let message = refused(images.directory(), 7, &["extract", "ours.erofs", "out", "motd", "-f"]);
    assert!(message.contains("a directory is there"), "{message}");
    fs::remove_dir_all(at("api")).unwrap();
    fs::write(at("api"), "mine").unwrap();
    let message = refused(images.directory(), 7, &["extract", "ours.erofs", "out", "api", "-f"]);
    assert!(message.contains("cannot make the directory out/api"), "{message}");
    assert_eq!(fs::read(at("api")).unwrap(), b"mine");
}

/// A world outside that must stay as it is, an image, and a directory `in` to extract into.
fn scene() -> TempDir {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    let scene = TempDir::new().unwrap();
    let at = |name: &str| scene.path().join(name);
    fs::create_dir_all(at("outside/a/b")).unwrap();
    fs::write(at("outside/file"), "outside").unwrap();
    let image = IMAGE.get_or_init(|| {
        let manifest = "files: [{path: /a/b/c, text: inside}, {path: /a/b/l, symlink: c}]\n";
        fs::write(at("m.yaml"), manifest).unwrap();
        done(scene.path(), &["build", "m.yaml", "-o", "i.erofs", "--args", "none", "-q"]);
        fs::read(at("i.erofs")).unwrap()
    });
    fs::write(at("i.erofs"), image).unwrap();
    scene
}

fn outside_of(scene: &Path) -> Vec<(PathBuf, String)> {
    facts(&scene.join("outside"), Kept::All).into_iter().collect()
}

#[test]
fn no_link_in_the_directory_is_followed() {
    for (link, target, may_replace) in [
        ("a", "../outside/a", false),
        ("a", "../outside/nowhere", false),
        ("a/b", "../../outside/a/b", false),
        ("a/b", "../../outside", false),
        ("a/b/c", "../../../outside/file", true),
        ("a/b/c", "../../../outside/new", true),
        ("a/b/l", "../../../outside/file", true),
        ("a/b/l", "../../../outside/a", true),
    ] {
        for absolute in [false, true] {
            for force in [false, true] {
                let scene = scene();
                let place = scene.path().join("in").join(link);
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                let outside = target.trim_start_matches("../");
                let whole = scene.path().join(outside);
                symlink(if absolute { whole.as_path() } else { Path::new(target) }, &place)
                    .unwrap();
                let before = outside_of(scene.path());
                let options: &[&str] = if force { &["--force"] } else { &[] };
                let arguments = [&["extract", "i.erofs", "in", "--preserve"], options].concat();
                let output = credimg(scene.path(), &arguments);
                let code = if force && may_replace { 0 } else { 7 };
                assert_eq!(output.status.code(), Some(code), "{link}: {}", stderr(&output));
                assert_eq!(outside_of(scene.path()), before, "{link} -> {target}");
                if code == 0 {
                    assert_eq!(fs::read(scene.path().join("in/a/b/c")).unwrap(), b"inside");
                    assert_eq!(
                        fs::read_link(scene.path().join("in/a/b/l")).unwrap(),
                        Path::new("c")
                    );
                } else {
                    assert!(place.is_symlink());
                }
            }
        }
    }
}

#[test]
fn the_directory_itself_is_no_link() {
    let scene = scene();
    symlink("outside", scene.path().join("in")).unwrap();
    symlink("nowhere", scene.path().join("dangling")).unwrap();
    let before = outside_of(scene.path());
    for directory in ["in", "in/", "in/.", "dangling"] {
        for option in ["--quiet", "--force"] {
            let arguments = ["extract", "i.erofs", directory, option];
            let message = refused(scene.path(), 7, &arguments);
            assert!(message.contains("is a symbolic link"), "{message}");
        }
    }
    let message = refused(scene.path(), 7, &["extract", "i.erofs", "i.erofs"]);
    assert!(message.contains("cannot open the directory i.erofs: not a directory"), "{message}");
    let message = refused(scene.path(), 7, &["extract", "i.erofs", "none/in"]);
    assert!(message.contains("no such file or directory"), "{message}");
    let message = refused(scene.path(), 2, &["extract", "i.erofs", "-"]);
    assert!(message.contains("- is no directory"), "{message}");
    assert_eq!(outside_of(scene.path()), before);
    assert!(!scene.path().join("nowhere").exists());
    // As the way to it, links of one's own are fine.
    done(scene.path(), &["extract", "i.erofs", "in/new", "--quiet"]);
    assert_eq!(fs::read(scene.path().join("outside/new/a/b/c")).unwrap(), b"inside");
}

#[test]
fn a_full_disk_is_told_and_leaves_no_part_of_a_file() {
    let images = Images::new(&["ours.erofs"]);
    let disk = images.path("small");
    fs::create_dir(&disk).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=128k", "none"]).arg(&disk);
    tool(&mut mount);
    let output = credimg(images.directory(), &["extract", "ours.erofs", "small/out"]);
    let is_there = disk.join("out/api/deep/large").exists();
    let token = fs::read(disk.join("out/api/token"));
    tool(Command::new("umount").arg(&disk));
    assert_eq!(output.status.code(), Some(7));
    let message = stderr(&output);
    let expected = "cannot write small/out/api/deep/large: no space left on device";
    assert!(message.contains(expected), "{message}");
    assert!(message.contains("what was extracted before stays in small/out"), "{message}");
    assert!(!is_there);
    // Bytewise the names of the directory come before.
    assert!(token.is_err());
}

#[test]
fn a_limit_of_all_content_holds() {
    let images = Images::new(&["ours.erofs"]);
    let arguments = ["extract", "ours.erofs", "out", "--max-size", "300K"];
    let message = refused(images.directory(), 4, &arguments);
    assert!(message.contains("larger than 307200 bytes"), "{message}");
    assert!(message.contains("--max-size allows more"), "{message}");
}
