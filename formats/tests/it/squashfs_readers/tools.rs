//! The readers: this machine's and those that `make setup` unpacks, which run with the
//! libraries that they were made for.

use std::process::Command;

use crate::support::host::cache;

/// A reader's version and how to start it.
type Reader = (&'static str, fn() -> Command);

pub(crate) const UNSQUASHFS: [Reader; 4] = [
    ("4.4", || unpacked("squashfs-tools-bullseye", "usr/bin/unsquashfs")),
    ("of this machine", || Command::new("unsquashfs")),
    ("4.6", || unpacked("squashfs-tools-trixie", "usr/bin/unsquashfs")),
    ("4.7", || unpacked("newer", "usr/bin/unsquashfs")),
];

pub(crate) const RDSQUASHFS: [Reader; 2] = [
    ("of this machine", || Command::new("rdsquashfs")),
    ("1.3", || unpacked("squashfs-readers", "usr/bin/rdsquashfs")),
];

pub(crate) fn unpacked(name: &str, program: &str) -> Command {
    let tree = cache().join(name);
    // In Debian 11 the first is a link to an absolute path, which leads nowhere here.
    let loaders = ["lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/ld-2.31.so"];
    let loader = loaders.iter().map(|path| tree.join(path)).find(|path| path.exists());
    let loader = loader.unwrap_or_else(|| panic!("run `make setup`: {} lacks", tree.display()));
    let libraries = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
    let libraries = libraries.map(|path| tree.join(path).display().to_string()).join(":");
    let mut command = Command::new(loader);
    command.arg("--library-path").arg(libraries).arg(tree.join(program));
    command.env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
    command
}
