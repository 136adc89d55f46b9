//! 7-Zip as a reader: what it lists, and what it reads.

use std::collections::BTreeMap;
use std::path::Path;

use crate::squashfs_readers::tools::unpacked;
use crate::support::host::run;
use crate::support::permissions::permissions;
use crate::support::{Expected, ExpectedKind, Listing};

pub(crate) fn knows(compression: &str) -> bool {
    compression != "lz4"
}

pub(crate) fn judge(seed: u64, image: &Path, listing: &Listing) {
    let program = || unpacked("squashfs-readers", "usr/lib/7zip/7z");
    let listed = run(program().args(["l", "-slt"]).arg(image)).stdout;
    let text: String = listed.iter().map(|byte| char::from(*byte)).collect();
    let (_, lines) = text.split_once("\n----------\n").unwrap();
    // All content in one stream, in the order of the list. On the disk 7-Zip would put links
    // right that it takes for dangerous.
    let content = run(program().args(["x", "-so"]).arg(image)).stdout;
    let mut rest = content.as_slice();

    let mut wanted: BTreeMap<String, &Expected> = BTreeMap::new();
    for (path, entry) in listing.iter().filter(|(path, _)| !path.is_empty()) {
        let path = path.iter().map(|byte| shown(*byte)).collect();
        assert!(wanted.insert(path, entry).is_none(), "seed {seed}: names that 7-Zip shows alike");
    }
    for entry in lines.trim_end_matches('\n').split("\n\n").filter(|entry| !entry.is_empty()) {
        let value = |key: &str| {
            let start = format!("{key} = ");
            entry.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default()
        };
        let path = value("Path");
        let Some(wanted) = wanted.remove(path) else {
            panic!("seed {seed}: 7-Zip lists {path:?}, which was not put in");
        };
        let content = assert_listed(wanted, value);
        rest = rest.strip_prefix(content).unwrap_or_else(|| {
            panic!("seed {seed}: 7-Zip reads another content than that of {path:?}")
        });
    }
    let missing = wanted.keys().next();
    assert_eq!(missing, None, "seed {seed}: 7-Zip does not list it");
    assert!(rest.is_empty(), "seed {seed}: 7-Zip reads more than was put in");
}

/// Compares what 7-Zip says of one entry, and returns its content, or a link's target.
fn assert_listed<'e, 'v>(entry: &'e Expected, value: impl Fn(&str) -> &'v str) -> &'e [u8] {
    let (letter, content) = match &entry.kind {
        ExpectedKind::Directory { .. } => ('d', None),
        ExpectedKind::File { content, .. } => ('-', Some(content.as_slice())),
        ExpectedKind::Symlink(target) => ('l', Some(target.as_slice())),
        ExpectedKind::Special { file_type: 0o010_000, .. } => ('p', Some(&b""[..])),
        ExpectedKind::Special { file_type: 0o140_000, .. } => ('s', Some(&b""[..])),
        ExpectedKind::Special { file_type: 0o020_000, .. } => ('c', Some(&b""[..])),
        ExpectedKind::Special { .. } => ('b', Some(&b""[..])),
    };
    let size = content.map_or_else(String::new, |content| content.len().to_string());
    let mode = format!("{letter}{}", permissions(entry.mode));
    let keys = [("Mode", mode), ("Size", size)];
    let owners = [("User ID", entry.uid), ("Group ID", entry.gid)];
    let owners = owners.map(|(key, id)| (key, id.to_string()));
    for (key, wanted) in keys.into_iter().chain(owners) {
        assert_eq!(value(key), wanted, "7-Zip: {key} of {:?}", value("Path"));
    }
    content.unwrap_or_default()
}

/// How 7-Zip shows a byte of a name.
fn shown(byte: u8) -> char {
    if byte == b'\n' { '_' } else { char::from(byte) }
}
