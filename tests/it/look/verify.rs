//! `credimg verify`: our images and those of others are valid, what is not is told, and what a
//! manifest says otherwise is named and never shown.

use std::fs;

use crate::look::images::{Image, Images};
use crate::look::{credimg, done, refused, stderr};

/// A valid image is valid, whoever made it, and one of ours holds what its manifest says.
pub(crate) fn check(images: &Images, image: &Image) {
    let arguments = [&["verify", image.name], image.key].concat();
    let output = credimg(images.directory(), &arguments);
    assert_eq!(stderr(&output), format!("{} is valid\n", image.name), "{arguments:?}");
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b""[..]));
    let quiet = credimg(images.directory(), &[&arguments[..], &["--quiet"]].concat());
    assert_eq!((stderr(&quiet), quiet.stdout), (String::new(), Vec::new()));
    let manifest = match image.name.rsplit_once('.').unwrap().1 {
        "erofs" => "tree.yaml",
        "sqfs" => "unlisted.yaml",
        _ => "plain.yaml",
    };
    // Encryption is an option of the build, and so of the comparison.
    let encryption: &[&str] = match image.name {
        "locked.erofs" | "locked.iso" => &["--encrypt", "luks2"],
        "locked.sqfs" => &["--encrypt", "luks1"],
        _ => &[],
    };
    if image.name.starts_with("ours") || image.name.starts_with("locked") {
        let with = ["--manifest", manifest, "--allow-devices"];
        let output = credimg(images.directory(), &[&arguments[..], &with, encryption].concat());
        let expected = format!("{} is valid and holds what the manifest says\n", image.name);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(without_warnings(&stderr(&output)), expected);
    }
}

/// A manifest is collected as for a build, with what there is to say of it.
fn without_warnings(said: &str) -> String {
    let lines = said.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("credimg: warning: ")).collect()
}

const MANIFEST: &str = "label: ONE
files:
- {path: /content, text: c4n4ry-do-not-show}
- {path: /mode, text: same}
- {path: /owner, text: same}
- {path: /time, text: same, mtime: 5}
- {path: /gone, text: same}
- {path: /link, symlink: c4n4ry-do-not-show}
- {path: /command, shell: 'echo ran >> ran; echo done'}
credentials:
- {name: token, text: c4n4ry-do-not-show}
";
const OTHER: &str = "label: TWO
files:
- {path: /content, text: c4n4ry-Do-not-show}
- {path: /mode, text: same, mode: '0444'}
- {path: /owner, text: same, owner: '1:0'}
- {path: /time, text: same, mtime: 6}
- {path: /link, symlink: c4n4ry-do-not-Show}
- {path: /command, shell: 'echo ran >> ran; echo done'}
- {path: /new, text: same}
credentials:
- {name: token, text: c4n4ry-do-not-Show}
";

fn build(images: &Images, manifest: &str, name: &str, options: &[&str]) {
    fs::write(images.path("manifest.yaml"), manifest).unwrap();
    let common = ["build", "manifest.yaml", "-o", name, "--quiet", "--args", "none"];
    done(images.directory(), &[&common, options].concat());
}

#[test]
fn what_the_manifest_says_otherwise_is_named() {
    let images = Images::new(&[]);
    let luks = ["--encrypt", "luks2", "--key-file", "key"];
    for (name, options) in [
        ("a.erofs", &[][..]),
        ("a.sqfs", &[]),
        ("a.iso", &[]),
        ("l.erofs", &luks),
        ("l.iso", &luks),
    ] {
        build(&images, MANIFEST, name, options);
        // The option that the build was given, which the manifest does not say.
        let arguments = [&["verify", name, "--manifest", "manifest.yaml"], options].concat();
        let output = credimg(images.directory(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        // Both ran it, the build and this.
        assert_eq!(fs::read_to_string(images.path("ran")).unwrap(), "ran\nran\n");
        fs::remove_file(images.path("ran")).unwrap();

        fs::write(images.path("manifest.yaml"), OTHER).unwrap();
        let said = without_warnings(&refused(images.directory(), 1, &arguments));
        fs::remove_file(images.path("ran")).unwrap();
        let label = match name {
            "a.sqfs" => vec![],
            "l.erofs" | "l.iso" => vec!["the label is not", "the header's label is not"],
            _ => vec!["the label is not"],
        };
        let label = label.into_iter().map(|what| format!("{what} that of the manifest"));
        let paths = [
            "/content: another content",
            "/gone: it should not be there",
            "/link: another target",
            "/mode: another mode",
            "/new: it is missing",
            "/owner: another owner",
            "/time: another time",
        ];
        let lines = label.chain(paths.map(str::to_owned));
        let lines: Vec<_> = lines.map(|line| format!("credimg: error: {name}: {line}\n")).collect();
        assert_eq!(said, lines.concat());

        let output = credimg(images.directory(), &[&arguments[..], &["--json"]].concat());
        fs::remove_file(images.path("ran")).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(without_warnings(&stderr(&output)), "");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&json["valid"], &json["problems_total"]), (&true.into(), &0.into()));
        assert_eq!(json["differences_total"], lines.len());
        let differences = json["differences"].as_array().unwrap();
        let content = serde_json::json!(
            {"path": "/content", "change": "changed", "respects": ["content"]});
        assert!(differences.contains(&content), "{json}");
        assert!(!json.to_string().to_lowercase().contains("c4n4ry"));
    }
    let forbidden = ["verify", "a.erofs", "--manifest", "manifest.yaml", "--no-commands"];
    let said = refused(images.directory(), 5, &forbidden);
    assert!(said.contains("--no-commands forbids"), "{said}");
    assert!(!images.path("ran").exists());
}

#[test]
fn options_of_the_build_decide_what_is_expected() {
    let images = Images::new(&[]);
    let manifest = "label: ONE\nformat: erofs\nencrypt: {luks: 2}\nfiles: [{path: /a, text: x}]\n\
                    credentials: [{name: token, text: x}]\n";
    let at = images.directory();
    let luks = ["--key-file", "key"];
    build(&images, manifest, "a.erofs", &luks);
    build(&images, manifest, "a.iso", &[&luks[..], &["--format=iso9660", "--label=TWO"]].concat());
    build(&images, manifest, "firecracker.erofs", &[&luks[..], &["--target=firecracker"]].concat());
    let verify = |name, options: &[&str]| {
        let arguments = ["verify", name, "--manifest", "manifest.yaml", "--key-file", "key"];
        let output = credimg(at, &[&arguments, options].concat());
        (output.status.code().unwrap(), stderr(&output))
    };
    assert_eq!(verify("a.erofs", &[]).0, 0);
    assert_eq!(verify("a.erofs", &["--mtime", "5"]).0, 1);
    assert_eq!(verify("a.iso", &["--format=iso9660", "--label=TWO"]).0, 0);
    let said = "credimg: error: a.iso: the format is not that of the manifest\n";
    assert_eq!(verify("a.iso", &["--label=TWO"]), (1, said.to_owned()));
    // There the credential is on the disk.
    assert_eq!(verify("firecracker.erofs", &["--target=firecracker"]).0, 0);
    let (code, said) = verify("firecracker.erofs", &[]);
    assert_eq!(code, 1);
    assert!(said.contains("it should not be there"), "{said}");
    assert_eq!(verify("a.erofs", &["--target=firecracker"]).0, 1);

    // What is not encrypted, though it should be.
    let plain = manifest.replace("encrypt: {luks: 2}\n", "");
    build(&images, &plain, "plain.erofs", &[]);
    fs::write(images.path("manifest.yaml"), manifest).unwrap();
    let said = refused(at, 1, &["verify", "plain.erofs", "--manifest", "manifest.yaml"]);
    assert_eq!(said, "credimg: error: plain.erofs: the encryption is not that of the manifest\n");
    // And what is encrypted, though it should not be, or in another way.
    let said = "the encryption is not that of the manifest\n";
    let encrypted = |version: &str, option: &str| {
        fs::write(images.path("manifest.yaml"), manifest.replace("luks: 2", version)).unwrap();
        let (code, told) = verify("a.erofs", &[option]);
        (code, told.replace("credimg: error: a.erofs: ", ""))
    };
    assert_eq!(encrypted("luks: 1", "--no-commands"), (1, said.to_owned()));
    assert_eq!(
        encrypted("luks: 1", "--encrypt=luks2"),
        (0, "a.erofs is valid and holds what the manifest says\n".to_owned())
    );
    assert_eq!(encrypted("luks: 2", "--encrypt=luks1"), (1, said.to_owned()));
    let sectors = "the encryption's sector is not that of the manifest\n";
    assert_eq!(encrypted("luks: 2, sector_size: 512", "--no-commands"), (1, sectors.to_owned()));
    assert_eq!(encrypted("luks: 2, sector_size: 4096", "--no-commands").0, 0);
    fs::write(images.path("manifest.yaml"), &plain).unwrap();
    let (code, told) = verify("a.erofs", &[]);
    assert_eq!((code, told), (1, format!("credimg: error: a.erofs: {said}")));
    // The options of a manifest that is not there.
    for option in [
        "--label=x",
        "--mtime=5",
        "--lossy",
        "--strict",
        "--format=erofs",
        "--encrypt=luks2",
        "--verity",
    ] {
        let said = refused(at, 2, &["verify", "plain.erofs", option]);
        assert!(said.contains("--manifest"), "{said}");
    }
}

#[test]
fn what_is_not_valid_is_told_with_its_place() {
    let images = Images::new(&["ours.erofs", "ours.sqfs", "ours.iso", "locked.erofs"]);
    // A superblock, an inode table's end, a path table.
    for (name, offset) in [("ours.erofs", 1024 + 40), ("ours.sqfs", 30), ("ours.iso", 32768 + 90)] {
        let mut bytes = fs::read(images.path(name)).unwrap();
        bytes[offset] ^= 0x20;
        fs::write(images.path("damaged"), &bytes).unwrap();
        let said = refused(images.directory(), 8, &["verify", "damaged"]);
        assert!(said.starts_with("credimg: error: damaged: "), "{name}: {said}");
        let output = credimg(images.directory(), &["verify", "damaged", "--json"]);
        assert_eq!(output.status.code(), Some(8));
    }
    // Padding, of which nothing but its place tells.
    let mut bytes = fs::read(images.path("ours.iso")).unwrap();
    let place = bytes.len() - 1;
    bytes[place] = 1;
    fs::write(images.path("damaged"), &bytes).unwrap();
    let said = refused(images.directory(), 8, &["verify", "damaged"]);
    assert!(said.contains(&format!("damaged: byte {place}: ")), "{said}");
    let output = credimg(images.directory(), &["verify", "damaged", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["valid"], &json["differences"]), (&false.into(), &().into()));
    assert_eq!(json["problems"][0]["offset_bytes"], place);

    // Without a key the header alone is looked at.
    let warning = "credimg: warning: locked.erofs: what is inside the encryption is not checked: \
                   --key-file opens it\nlocked.erofs is valid\n";
    let output = credimg(images.directory(), &["verify", "locked.erofs"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), warning));
    let with = ["verify", "locked.erofs", "--manifest", "tree.yaml"];
    let said = refused(images.directory(), 2, &with);
    assert!(said.contains("locked.erofs is encrypted"), "{said}");
    let mut bytes = fs::read(images.path("locked.erofs")).unwrap();
    bytes[16_384 + 30] ^= 1;
    fs::write(images.path("damaged"), &bytes).unwrap();
    for options in [&[][..], &["--key-file", "key"]] {
        let said = refused(images.directory(), 8, &[&["verify", "damaged"], options].concat());
        assert!(said.contains("a copy of the header is damaged"), "{said}");
    }
}

/// A disk that says that it has written, and has not.
#[test]
fn an_image_that_does_not_read_back_never_takes_its_name() {
    let images = Images::new(&[]);
    let manifest = "label: ONE\nfiles: [{path: /a, text: c4n4ry-do-not-show}]\n";
    let at = images.directory();
    for name in ["a.erofs", "a.iso"] {
        build(&images, manifest, name, &["--verify"]);
        let old = fs::read(images.path(name)).unwrap();
        let traced = |verify: &[&str]| {
            let mut strace = std::process::Command::new("strace");
            // The first write of a quiet build is the image's.
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=write"]);
            strace.args(["-e", "inject=write:retval=1000:when=1"]);
            strace.arg(env!("CARGO_BIN_EXE_credimg")).args(["build", "manifest.yaml", "-o", name]);
            let common = ["--quiet", "--args", "none", "--mtime", "77"];
            strace.args(common).args(verify).current_dir(at);
            strace.output().unwrap()
        };
        let output = traced(&["--verify"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(7), "{name}: {said}");
        assert!(said.contains("does not read back as it was written"), "{name}: {said}");
        assert!(said.contains("the old image is unchanged"), "{name}: {said}");
        assert!(!said.contains("c4n4ry"), "{said}");
        assert!(fs::read(images.path(name)).unwrap() == old, "{name}");
        let mut names = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.any(|name| name.to_string_lossy().contains(".credimg-")));
        // Without it nobody notices.
        assert!(traced(&[]).status.success(), "{name}");
        refused(at, 8, &["verify", name]);
    }
}
