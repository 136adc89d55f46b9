//! The Makefile fragment, with a changed secret and an unchanged one.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::*;

/// A Makefile that includes the fragment; what depends on an image is noted in `made`.
fn host() -> Host {
    let host = Host::empty();
    let fragment = preboot("credimg.mk");
    host.write(
        "Makefile",
        format!(
            "CREDIMG := {CREDIMG}\n\
             CREDIMG_IMAGES := chimera.erofs lab/medusa.squashfs said.erofs\n\
             all: $(CREDIMG_IMAGES) made\n\
             made: chimera.erofs\n\techo made >>made\n\
             include {}\n\
             said.erofs: FORCE\n",
            fragment.display()
        ),
    );
    host.write("chimera.yaml", "label: CHIMERA\nfiles: [{path: /keys, dir: keys}]\n");
    host.write("keys/one", "1");
    host.write("keys/two", "2");
    host.write("lab/medusa.yaml", "files: [{path: /token, file: ../token}]\n");
    host.write("token", "t");
    host.write("said.yaml", "files: [{path: /said, shell: 'cat what'}]\n");
    host.write("what", "hello");
    host
}

fn make(host: &Host, options: &str) -> Output {
    host.command("make").args(options.split_whitespace()).output().unwrap()
}

/// The images that a run of Make has built anew, of those that are there before.
fn make_anew(host: &Host) -> Vec<&'static str> {
    let images = ["chimera.erofs", "lab/medusa.squashfs", "said.erofs"];
    let identity = |image: &str| fs::metadata(host.path(image)).unwrap().ino();
    let before = images.map(identity);
    assert_done(&make(host, "all"));
    images
        .into_iter()
        .zip(before)
        .filter(|(image, old)| identity(image) != *old)
        .map(|(i, _)| i)
        .collect()
}

/// Rewrites a file, and makes it newer than all that is there.
fn touch(host: &Host, name: &str, content: &str) {
    host.write(name, content);
    let soon = SystemTime::now() + Duration::from_millis(20);
    fs::File::options().write(true).open(host.path(name)).unwrap().set_modified(soon).unwrap();
}

#[test]
fn only_what_changed_is_built_again() {
    let host = host();
    let output = make(&host, "all");
    assert_done(&output);
    assert!(host.path("lab/medusa.squashfs.d").exists());
    assert_eq!(fs::metadata(host.path("chimera.erofs")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(host.read("made"), b"made\n");

    // Nothing is newer: only what is forced is looked at, and it is the same.
    assert_eq!(make_anew(&host), [""; 0]);
    assert!(make(&host, "-q chimera.erofs lab/medusa.squashfs made").status.success());

    touch(&host, "keys/two", "two");
    assert_eq!(make_anew(&host), ["chimera.erofs"]);
    assert_eq!(host.read("made"), b"made\nmade\n");

    touch(&host, "token", "T");
    assert_eq!(make_anew(&host), ["lab/medusa.squashfs"]);

    // A secret that is newer but the same is looked at, and leaves all that depends on it alone.
    touch(&host, "keys/two", "two");
    assert!(!make(&host, "-q chimera.erofs").status.success());
    assert_eq!(make_anew(&host), [""; 0]);
    assert_eq!(host.read("made"), b"made\nmade\n");

    // What a command prints, Make cannot see: FORCE asks it every time.
    host.write("what", "goodbye");
    assert_eq!(make_anew(&host), ["said.erofs"]);
}

#[test]
fn files_that_come_and_go_are_noticed() {
    let host = host();
    assert_done(&make(&host, "all"));
    touch(&host, "keys/three", "3");
    let soon = SystemTime::now() + Duration::from_millis(20);
    fs::File::open(host.path("keys")).unwrap().set_modified(soon).unwrap();
    assert_eq!(make_anew(&host), ["chimera.erofs"]);

    fs::remove_file(host.path("keys/one")).unwrap();
    assert_eq!(make_anew(&host), ["chimera.erofs"]);
    fs::remove_file(host.path("keys/three")).unwrap();
    assert_eq!(make_anew(&host), ["chimera.erofs"]);

    // A file that the manifest itself names is credimg's to miss.
    let old = host.read("lab/medusa.squashfs");
    fs::remove_file(host.path("token")).unwrap();
    let output = make(&host, "lab/medusa.squashfs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot read lab/../token"), "{output:?}");
    assert_eq!(host.read("lab/medusa.squashfs"), old);
}

#[test]
fn options_reach_the_build_and_no_image_is_no_rule() {
    let host = host();
    assert_done(&make(&host, "chimera.erofs CREDIMG_OPTIONS=--mode=0640"));
    assert_eq!(fs::metadata(host.path("chimera.erofs")).unwrap().mode() & 0o7777, 0o640);

    let fragment = preboot("credimg.mk");
    host.write("Makefile", format!("all:\n\techo done\ninclude {}\n", fragment.display()));
    let output = make(&host, "-s all");
    assert_done(&output);
    assert_eq!(output.stdout, b"done\n");
}

#[test]
fn every_format_has_a_rule() {
    let host = host();
    let images = ["chimera.erofs", "chimera.squashfs", "chimera.iso"];
    let fragment = preboot("credimg.mk");
    let text = format!(
        "CREDIMG := {CREDIMG}\nCREDIMG_IMAGES := {}\ninclude {}\n",
        images.join(" "),
        fragment.display()
    );
    host.write("Makefile", text);
    assert_done(&make(&host, &images.join(" ")));
    assert!(images.iter().all(|image| host.path(image).exists()));
}
