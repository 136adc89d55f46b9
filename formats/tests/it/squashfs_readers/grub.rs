//! GRUB's own driver as a reader, by grub-fstest. It knows neither modes nor owners, and of
//! symbolic links only where they lead.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::squashfs_readers::tools::unpacked;
use crate::support::host::run;
use crate::support::{ExpectedKind, Listing};

pub(crate) fn knows(compression: &str) -> bool {
    !matches!(compression, "zstd" | "lz4")
}

/// `mounted` is the image as the kernel shows it, once that is known to be right.
pub(crate) fn judge(seed: u64, image: &Path, mounted: &Path, listing: &Listing) {
    let program = || unpacked("squashfs-readers", "usr/bin/grub-fstest");
    let directories: Vec<&[u8]> = listing
        .iter()
        .filter(|(_, entry)| matches!(entry.kind, ExpectedKind::Directory { .. }))
        .map(|(path, _)| path.as_slice())
        .collect();
    // So many in a call as its arguments hold.
    for some in directories.chunks(20) {
        let paths: Vec<Vec<u8>> = some.iter().map(|path| shown(path)).collect();
        // The root first: where there are several, each is headed by its name.
        let paths = [vec![b"/".to_vec()], paths].concat();
        let mut command = program();
        command.arg(image).args(["ls", "--", "-l", "-a"]);
        let output = run(command.args(paths.iter().map(|path| OsStr::from_bytes(path))));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut rest = output.stdout.as_slice();
        for path in [&b""[..]].iter().chain(some) {
            rest = assert_listed(seed, listing, path, rest);
        }
        assert!(rest.iter().all(|byte| *byte == b'\n'), "seed {seed}: GRUB lists more");
    }
    // All files below, with what the kernel reads.
    run(program().arg(image).args(["cmp", "/"]).arg(mounted));
    for (path, target) in leading_links(listing) {
        let mut command = program();
        command.arg(image).arg("cmp").arg(OsStr::from_bytes(&[b"/", path].concat()));
        run(command.arg(mounted.join(OsStr::from_bytes(&target))));
    }
}

fn shown(directory: &[u8]) -> Vec<u8> {
    if directory.is_empty() { b"/".to_vec() } else { [b"/", directory, b"/"].concat() }
}

/// Symbolic links to a file in the same directory.
fn leading_links(listing: &Listing) -> Vec<(&[u8], Vec<u8>)> {
    let mut found = Vec::new();
    for (path, entry) in listing {
        let ExpectedKind::Symlink(target) = &entry.kind else { continue };
        let directory = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let target = [&path[..directory], target.as_slice()].concat();
        if listing.get(&target).is_some_and(|entry| matches!(entry.kind, ExpectedKind::File { .. }))
        {
            found.push((path.as_slice(), target));
        }
    }
    found
}

/// Compares the lines of one directory: a size, or what it is, and the name. Returns what follows.
fn assert_listed<'o>(seed: u64, listing: &Listing, path: &[u8], listed: &'o [u8]) -> &'o [u8] {
    let fail = |wanted: &[u8], got: &[u8]| -> ! {
        let got = got[..got.len().min(120)].escape_ascii();
        let directory = path.escape_ascii();
        panic!("seed {seed}: /{directory}: want {}, GRUB lists {got}", wanted.escape_ascii())
    };
    let strip = |rest: &'o [u8], wanted: &[u8]| {
        rest.strip_prefix(wanted).unwrap_or_else(|| fail(wanted, rest))
    };
    let mut rest = listed;
    while let [b'\n', after @ ..] = rest {
        rest = after;
    }
    rest = strip(rest, &[&shown(path), &b":\n"[..]].concat());
    // Size or kind, time, name.
    let mut line = |size: Option<&str>, name: &[u8]| {
        if let Some(size) = size {
            strip(rest, format!("{size:<12} ").as_bytes());
        }
        rest = strip(rest.get(13 + 14..).unwrap_or_default(), &[b" ", name, b"\n"].concat());
    };
    line(Some("DIR"), b"./");
    if !path.is_empty() {
        line(Some("DIR"), b"../");
    }
    let start = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
    for (entry_path, entry) in listing {
        let Some(name) = entry_path.strip_prefix(start.as_slice()) else { continue };
        if name.is_empty() || name.contains(&b'/') {
            continue;
        }
        match &entry.kind {
            ExpectedKind::Directory { .. } => line(Some("DIR"), &[name, b"/"].concat()),
            ExpectedKind::File { content, .. } => line(Some(&content.len().to_string()), name),
            // What it leads to, if anything.
            ExpectedKind::Symlink(_) => line(None, name),
            ExpectedKind::Special { .. } => line(Some("????????????"), name),
        }
    }
    rest
}
