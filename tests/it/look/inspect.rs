//! `credimg inspect`: its counts are those of the tree.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::look::done;
use crate::look::images::{Image, Images};

/// Files, directories, symbolic links, devices, named pipes, further names, bytes of files.
pub(crate) fn count(root: &Path) -> [u64; 7] {
    let mut counts = [0; 7];
    let mut seen = BTreeSet::new();
    for entry in walkdir::WalkDir::new(root) {
        let metadata = fs::symlink_metadata(entry.unwrap().path()).unwrap();
        let kind = metadata.file_type();
        if !kind.is_dir() && !seen.insert(metadata.ino()) {
            counts[5] += 1;
            continue;
        }
        let index = match () {
            () if kind.is_dir() => 1,
            () if kind.is_symlink() => 2,
            () if kind.is_char_device() || kind.is_block_device() => 3,
            () if kind.is_fifo() => 4,
            () => 0,
        };
        counts[index] += 1;
        if index == 0 {
            counts[6] += metadata.len();
        }
    }
    counts
}

/// Counts and sizes are those of the tree.
pub(crate) fn check(images: &Images, image: &Image, expected: [u64; 7]) {
    let arguments = [&["inspect", image.name, "--json"], image.key].concat();
    let json = done(images.directory(), &arguments);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let json = json.get("inside").unwrap_or(&json);
    let names =
        ["files", "directories", "symlinks", "devices", "fifos", "further_names", "content_bytes"];
    let told = names.map(|name| json[name].as_u64().unwrap());
    assert_eq!(told, expected, "{}", image.name);
    let [used, stored, rest, size] = ["used_bytes", "stored_bytes", "metadata_bytes", "size_bytes"]
        .map(|name| json[name].as_u64().unwrap());
    assert!(used <= size && stored + rest == used, "{}: {json}", image.name);
    let compression = match image.name {
        "ours.sqfs" => "zstd".into(),
        "gzip.sqfs" => "gzip".into(),
        "xz.sqfs" => "xz".into(),
        _ => serde_json::Value::Null,
    };
    assert_eq!(json["compression"], compression, "{}", image.name);
}
