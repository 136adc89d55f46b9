//! Initrds as guests have them: archives of cpio's own, packed by the programs of each packer.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::host::Host;

/// What dracut of Debian 13 puts into an initrd, as far as it counts here.
pub(crate) const DRACUT: &[&str] = &[
    "init",
    "usr/bin/systemd-tmpfiles",
    "usr/lib/systemd/systemd",
    "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so",
];

/// Every packer whose work is looked into, with its options, and none.
pub(super) const PACKERS: [&[&str]; 5] = [
    &["cat"],
    &["gzip", "-nc"],
    &["zstd", "-qc"],
    &["xz", "-c", "--check=crc32"],
    &["lz4", "-qlc"],
];

/// An archive of files with these names, as cpio writes it.
pub(super) fn archive(host: &Host, names: &[&str]) -> Vec<u8> {
    let tree = host.path("initrd-tree");
    let _ = fs::remove_dir_all(&tree);
    for name in names {
        host.write(tree.join(name), format!("content of {name}"));
    }
    filtered(&tree, &["sh", "-c", "find . -mindepth 1 | cpio -o -H newc --quiet"], b"")
}

/// What a program writes of this input.
pub(super) fn filtered(directory: &Path, program: &[&str], input: &[u8]) -> Vec<u8> {
    fs::create_dir_all(directory).unwrap();
    let from = directory.with_extension("in");
    fs::write(&from, input).unwrap();
    let output = Command::new(program[0])
        .args(&program[1..])
        .current_dir(directory)
        .stdin(fs::File::open(from).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{program:?}: {}", output.status);
    output.stdout
}

/// The file `guest.img`: an archive of microcode first, as early parts are, then one of these
/// names that is packed.
pub(crate) fn write(host: &Host, names: &[&str], packer: &[&str]) -> Vec<u8> {
    let mut image = archive(host, &["kernel/x86/microcode/GenuineIntel.bin"]);
    image.resize(image.len().next_multiple_of(512), 0);
    let main = archive(host, names);
    image.extend(filtered(&host.path("packing"), packer, &main));
    fs::write(host.path("guest.img"), &image).unwrap();
    image
}
