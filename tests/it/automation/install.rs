//! `make install` and `make uninstall`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use super::hooks::mode;
use super::*;

/// A host with directories of its own in `the root`, and the program in place of a release.
fn host() -> Host {
    let host = Host::empty();
    host.write("the root/etc/libvirt/hooks/qemu", "another hook");
    fs::create_dir_all(host.path("the root/usr/share/man/man1")).unwrap();
    fs::create_dir(host.path("release")).unwrap();
    fs::copy(CREDIMG, host.path("release/credimg")).unwrap();
    host
}

#[track_caller]
fn make(host: &Host, target: &str) {
    let mut make = host.command("make");
    make.args(["-s", "-C", env!("CARGO_MANIFEST_DIR"), target, "PREFIX=/usr"]);
    make.arg(format!("DESTDIR={}", host.path("the root").display()));
    make.env("CARGO_TARGET_DIR", host.path(""));
    assert_done(&make.output().unwrap());
}

/// What is below `the root`: modes, and the content of files.
fn tree(host: &Host) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    let entries = walkdir::WalkDir::new(host.path("the root")).into_iter().map(Result::unwrap);
    let told = entries.map(|entry| {
        let mode = entry.metadata().unwrap().permissions().mode();
        (entry.path().to_owned(), (mode, fs::read(entry.path()).ok()))
    });
    told.collect()
}

/// As a package or root does it: another hook stays, ours is a copy, which `AppArmor` wants.
#[test]
fn make_install_puts_a_copy_of_the_hook_beside_others() {
    let host = host();
    make(&host, "install");
    assert_eq!(host.read("the root/etc/libvirt/hooks/qemu"), b"another hook");
    let hook = "the root/etc/libvirt/hooks/qemu.d/credimg";
    assert!(fs::symlink_metadata(host.path(hook)).unwrap().is_file());
    assert_eq!(host.read(hook), fs::read(preboot("credimg-hook")).unwrap());
    assert_eq!((mode(&host, hook), mode(&host, "the root/usr/bin/credimg")), (0o755, 0o755));
    let rule = host.read("the root/usr/share/credimg/apparmor-libvirt");
    assert!(rule.ends_with(b"\n/usr/local/bin/credimg PUx,\n"));
    let page = String::from_utf8(host.read("the root/usr/share/man/man1/credimg-build.1")).unwrap();
    assert!(page.contains(".SH SYNOPSIS"), "{page}");
}

/// A second installation finds its own directories there, and still they go.
#[test]
fn make_uninstall_leaves_what_was_there_before() {
    let host = host();
    let before = tree(&host);
    make(&host, "install");
    make(&host, "install");
    assert!(tree(&host).len() > before.len() + 40);
    make(&host, "uninstall");
    assert_eq!(tree(&host), before);

    make(&host, "install");
    let others = host.write("the root/usr/share/credimg/others", "");
    make(&host, "uninstall");
    assert_eq!(tree(&host).len(), before.len() + 2);
    fs::remove_file(others).unwrap();
    fs::remove_dir(host.path("the root/usr/share/credimg")).unwrap();
    assert_eq!(tree(&host), before);
}
