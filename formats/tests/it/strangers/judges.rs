//! The example's images, judged by the tools of each format. `make setup` installs them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use credimg_formats::luks::Header;
use credimg_formats::probe::{Probe, probe};

use crate::strangers::{images, scratch};

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; run `make setup`"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

/// Whether what a tool has unpacked is the example's tree.
fn assert_unpacked(root: &Path) {
    assert_eq!(fs::read(root.join("api/token")).unwrap(), b"hunter2\n");
    assert_eq!(fs::read_link(root.join("current")).unwrap(), Path::new("api/token"));
    let users = fs::read("/etc/passwd").unwrap();
    assert!(fs::read(root.join("etc/passwd")).unwrap() == users);
}

#[test]
fn the_examples_images_are_what_the_reference_tools_read() {
    let directory = scratch("images");
    fs::create_dir(&directory).unwrap();
    images::make(&directory).unwrap();
    let path = |name: &str| directory.join(name).into_os_string().into_string().unwrap();
    for name in ["erofs", "squashfs", "iso"] {
        let (image, root) = (path(name), directory.join(format!("{name}.unpacked")));
        let to = root.to_str().unwrap();
        match name {
            "erofs" => run("fsck.erofs", &[&format!("--extract={to}"), &image]),
            "squashfs" => run("unsquashfs", &["-quiet", "-no-progress", "-d", to, &image]),
            _ => run("xorriso", &["-osirrox", "on", "-indev", &image, "-extract", "/", to]),
        }
        assert_unpacked(&root);
        // The pipe took the same bytes.
        let piped = fs::read(path(&format!("piped.{name}"))).unwrap();
        assert!(piped == fs::read(&image).unwrap(), "{name}");
    }

    let arguments = ["open", "--test-passphrase", "--key-file", "-", &path("luks")];
    let mut child = Command::new("cryptsetup").args(arguments).stdin(Stdio::piped()).spawn();
    let child = child.as_mut().expect("cryptsetup; run `make setup`");
    let passphrase = b"correct horse battery staple";
    child.stdin.take().unwrap().write_all(passphrase).unwrap();
    assert!(child.wait().unwrap().success());
    let mut volume = fs::File::open(path("luks")).unwrap();
    let header = Header::read(&mut volume).unwrap();
    assert_eq!(header.label(), "SECRETS");
    let inside = probe(&mut header.open(volume, passphrase).unwrap()).unwrap();
    assert!(matches!(inside, Probe::Erofs { label, .. } if label == b"SECRETS"));
    fs::remove_dir_all(&directory).unwrap();
}
