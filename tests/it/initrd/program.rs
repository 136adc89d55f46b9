//! `build` and `args` with an initrd: its copy is one of the image's files, and is replaced and
//! removed as they are.

use std::fs;
use std::os::unix::fs::symlink;

use super::guests::{DRACUT, write};
use crate::support::host::{Host, stderr, stdout};

const MANIFEST: &str = "label: CHIMERA\ncredentials: [{name: a, text: hello, via: initrd}]\n";
const WITH: [&str; 3] = ["-q", "--initrd", "guest.img"];

fn build(host: &Host, options: &[&str]) -> String {
    let output = host.build(options);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn the_arguments_name_the_initrd_and_come_again() {
    let host = Host::new(MANIFEST);
    write(&host, DRACUT, &["zstd", "-qc"]);
    let printed = build(&host, &WITH);
    assert!(printed.ends_with(" -initrd out.erofs.initrd\n"), "{printed}");
    let again = host.credimg().args(["args", "out.erofs"]).output().unwrap();
    assert_eq!(stdout(&again), printed, "{}", stderr(&again));

    let note = host.build(&WITH[1..]);
    assert!(stderr(&note).contains(", 1 credential by the initrd"), "{}", stderr(&note));
    // Another kind of machine, where a file of the image's set is named in another way.
    let options = [&WITH[..], &["--target", "firecracker"]].concat();
    let printed = build(&host, &options);
    let path = host.path("out.erofs.initrd");
    let expected = format!("{{\"initrd_path\":\"{}\"}}\n", path.display());
    assert!(printed.ends_with(&expected), "{printed}");
}

/// Whoever names an initrd always gets a copy, so that the arguments always name one.
#[test]
fn where_nothing_goes_by_the_initrd_it_is_the_guests_own() {
    let host = Host::new("label: CHIMERA\ncredentials: [{name: a, text: hello}]\n");
    let own = write(&host, DRACUT, &["zstd", "-qc"]);
    assert!(build(&host, &WITH).contains("-smbios"));
    assert_eq!(host.read("out.erofs.initrd"), own);
}

#[test]
fn an_image_without_an_initrd_loses_the_old_one() {
    let host = Host::new(MANIFEST);
    write(&host, DRACUT, &["zstd", "-qc"]);
    build(&host, &WITH);
    fs::write(host.path("secrets.yaml"), "label: CHIMERA\nfiles: [{path: /a, text: x}]\n").unwrap();
    assert!(!build(&host, &["-q"]).contains("-initrd"));
    assert!(!host.path("out.erofs.initrd").exists());
}

#[test]
fn an_image_is_kept_only_while_the_initrd_is_the_same() {
    let host = Host::new(MANIFEST);
    let own = write(&host, DRACUT, &["zstd", "-qc"]);
    let options = [&WITH[1..], &["--if-changed", "--depfile", "deps"]].concat();
    let is_kept = |host: &Host| {
        let output = host.build(&options);
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output).contains("it is up to date")
    };
    assert!(!is_kept(&host));
    assert!(is_kept(&host));
    assert!(String::from_utf8(host.read("deps")).unwrap().contains("\nguest.img:\n"));
    // Each differs from the initrd of the first build: a longer one, a shorter one, and another one
    // of the same length.
    for changed in [[&own[..], b"\0\0\0\0"].concat(), own[..own.len() - 1].to_vec(), own.clone()] {
        fs::write(host.path("guest.img"), &changed).unwrap();
        assert!(!is_kept(&host));
        assert!(host.read("out.erofs.initrd").starts_with(&changed));
        assert!(is_kept(&host));
    }
    let mut other = own;
    other[200] ^= 1;
    fs::write(host.path("guest.img"), other).unwrap();
    assert!(!is_kept(&host));
    // A damaged copy beside the image is made again, too.
    let mut damaged = host.read("out.erofs.initrd");
    damaged[9] ^= 1;
    fs::write(host.path("out.erofs.initrd"), damaged).unwrap();
    assert!(!is_kept(&host));
}

#[test]
fn an_initrd_that_changes_meanwhile_is_an_error() {
    let host = Host::new(
        "label: CHIMERA\ncredentials: [{name: a, shell: \"echo >>guest.img; echo x\", via: initrd}]\n",
    );
    write(&host, DRACUT, &["zstd", "-qc"]);
    let output = host.build(&WITH);
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("guest.img changed while it was read"), "{}", stderr(&output));
    assert!(!host.path("out.erofs").exists() && !host.path("out.erofs.initrd").exists());
}

#[test]
fn the_guests_own_initrd_is_no_file_of_the_image() {
    let host = Host::new(MANIFEST);
    write(&host, DRACUT, &["zstd", "-qc"]);
    fs::rename(host.path("guest.img"), host.path("out.erofs.initrd")).unwrap();
    let output = host.build(&["-q", "--initrd", "out.erofs.initrd"]);
    assert_eq!(output.status.code(), Some(2));
    let expected = "credimg: error: the guest's own initrd out.erofs.initrd has the name of a file \
                    that comes and goes with the image\n";
    assert!(stderr(&output).starts_with(expected), "{}", stderr(&output));
    // A link may not lead to the image's files either: the build would replace what it should keep.
    let before = host.read("out.erofs.initrd");
    symlink("out.erofs.initrd", host.path("link.img")).unwrap();
    let output = host.build(&["-q", "--initrd", "link.img"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with(&expected.replace("out.erofs.initrd", "link.img")));
    assert!(host.read("out.erofs.initrd") == before && !host.path("out.erofs").exists());
    let output = host
        .credimg()
        .args(["build", "secrets.yaml", "--format", "erofs", "-o", "-"])
        .args(WITH)
        .output();
    let message = stderr(&output.unwrap());
    assert!(
        message.contains("--initrd has no meaning for an image on standard output"),
        "{message}"
    );
}

/// If a second image's credentials went behind an initrd that has a first one's, its guest would
/// have the secrets of both, or miss those of the first.
#[test]
fn credentials_go_behind_an_initrd_once() {
    let host = Host::new(MANIFEST);
    write(&host, DRACUT, &["zstd", "-qc"]);
    for version in ["systemd=257", "systemd=262"] {
        build(&host, &[&WITH[..], &["--guest", version]].concat());
        fs::copy(host.path("out.erofs.initrd"), host.path("other.img")).unwrap();
        let output = host.build(&["-q", "--initrd", "other.img"]);
        assert_eq!(output.status.code(), Some(4));
        let expected = "credimg: error: no credentials can go by the initrd other.img: credentials \
                        of an image are behind it already\n\
                        credimg: hint: name the guest's own, as it was before\n";
        assert_eq!(stderr(&output), expected);
    }
}

/// A file with the name of an image's initrd that no build has made is never given to a machine.
#[test]
fn a_strange_initrd_beside_an_image_is_refused() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: x}]\n");
    build(&host, &["-q"]);
    host.private("out.erofs.initrd", "somebody else's");
    let output = host.credimg().args(["args", "out.erofs"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let message = stderr(&output);
    assert!(
        message.contains("out.erofs.initrd has the name of a file that belongs to"),
        "{message}"
    );
}
