//! The fleet and the pipeline, by a real Make.

use std::os::unix::fs::MetadataExt;
use std::process::Output;
use std::time::{Duration, SystemTime};

use super::*;

fn make(host: &Host, arguments: &str) -> Output {
    let path = std::env::var("PATH").unwrap();
    let program = Path::new(CREDIMG).parent().unwrap().display();
    let fragment = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/preboot/credimg.mk");
    let mut make = host.command("make");
    make.env("PATH", format!("{program}:{path}")).env("CREDIMG_MK", fragment);
    make.args(arguments.split_whitespace()).output().unwrap()
}

/// The inode of each file: one that is made anew has another.
fn identities(host: &Host, names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| fs::metadata(host.path(name)).unwrap().ino()).collect()
}

/// Rewrites a file, and makes it newer than all that is there.
fn touch(host: &Host, name: &str, content: &str) {
    host.write(name, content);
    let soon = SystemTime::now() + Duration::from_millis(20);
    fs::File::options().write(true).open(host.path(name)).unwrap().set_modified(soon).unwrap();
}

#[test]
fn a_machine_of_the_fleet_is_built_again_alone() {
    let host = copy("fleet");
    for key in ["chimera/token", "medusa/token", "medusa/password", "ca.pem"] {
        host.private(&format!("keys/{key}"), key);
    }
    fs::create_dir(host.path("disks")).unwrap();
    // This host has no users of these names.
    let output = make(&host, "-k");
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for place in ["fleet.yaml:3:", "fleet.yaml:4:"] {
        assert!(said.contains(place) && said.contains("this host has no such user"), "{said}");
    }
    let text = String::from_utf8(host.read("fleet.yaml")).unwrap();
    let text = text.replace("reader: vm-chimera", "owner: '990:990'");
    let text = text.replace("reader: vm-medusa", "owner: '991:991'");
    host.write("fleet.yaml", text);

    let images = ["disks/chimera/disk.erofs", "disks/medusa/disk.erofs"];
    let checked = make(&host, "-s check");
    assert_done(&checked);
    assert!(stdout(&checked).contains("/db/password"), "{checked:?}");
    assert_done(&make(&host, ""));
    let first = identities(&host, &images);
    let owner = |name: &str| fs::metadata(host.path(name)).unwrap().uid();
    assert_eq!(images.map(owner), [990, 991]);
    // The second run does nothing.
    assert_eq!(stdout(&make(&host, "-s")), "");
    assert!(make(&host, "-q").status.success());
    assert_eq!(identities(&host, &images), first);

    touch(&host, "keys/medusa/token", "new");
    assert_done(&make(&host, ""));
    let second = identities(&host, &images);
    assert_eq!(second[0], first[0]);
    assert_ne!(second[1], first[1]);
    assert_eq!(host.run("cat disks/medusa/disk.erofs /api/token").stdout, b"new");
    let listed = stdout(&host.run("ls disks/chimera/disk.erofs"));
    assert!(!listed.contains("password"), "{listed}");
    assert_done(&make(&host, "clean"));
    assert!(!host.path("disks/chimera").exists());
    // Make stops where the machines are not told.
    host.write("fleet.yaml", "machines: [");
    let output = make(&host, "");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("fleet.yaml does not tell its machines"), "{output:?}");
}

#[test]
fn what_depends_on_the_disk_is_made_again_with_it() {
    let host = copy("makefile-pipeline");
    host.private("tls/key.pem", "key");
    host.write("version", "1");
    let made = ["chimera.erofs", "root.img", "chimera.tar"];
    assert_done(&make(&host, ""));
    let first = identities(&host, &made);
    assert_done(&make(&host, ""));
    assert_eq!(identities(&host, &made), first);

    host.write("version", "2");
    assert_done(&make(&host, ""));
    assert_eq!(host.run("cat chimera.erofs /build").stdout, b"2");
    let listed = host.command("tar").args(["tf", "chimera.tar"]).output().unwrap();
    assert_eq!(stdout(&listed), "root.img\nchimera.erofs\n");
    let package = fs::metadata(host.path("chimera.tar")).unwrap();
    assert_eq!(package.mode() & 0o7777, 0o600);
    assert!(stdout(&make(&host, "-n run")).contains("eval \"qemu-system-x86_64 -m 1G"));
    assert_done(&make(&host, "clean"));
    assert!(!made.iter().any(|name| host.path(name).exists()));
}
