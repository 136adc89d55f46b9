//! Our trees beside those of veritysetup.

use std::path::Path;
use std::process::Command;

use credimg_formats::uuid_text;
use credimg_formats::verity::{Options, find, verify};

use super::{Case, hexadecimal};
use crate::support::host::{Scratch, run};

const CASES: u64 = 64;

/// Appends the tree to the data in `image`, and returns the root hash that it prints.
pub(crate) fn format(image: &Path, data_bytes: u64, options: &Options) -> String {
    let Options { salt, uuid, data_block_bytes, hash_block_bytes, algorithm } = options;
    let salt = if salt.is_empty() { "-".to_owned() } else { hexadecimal(salt) };
    let mut command = Command::new("veritysetup");
    command.arg("format").arg(image).arg(image);
    command.arg(format!("--hash-offset={data_bytes}")).arg(format!("--salt={salt}"));
    command.arg(format!("--uuid={}", uuid_text(*uuid)));
    command.arg(format!("--data-block-size={data_block_bytes}"));
    command.arg(format!("--hash-block-size={hash_block_bytes}"));
    command.arg(format!("--hash={}", algorithm.name()));
    let printed = String::from_utf8(run(&mut command).stdout).unwrap();
    let line = printed.lines().find_map(|line| line.strip_prefix("Root hash:"));
    line.unwrap().trim().to_owned()
}

/// Whether the image is what that root hash says.
pub(crate) fn verifies(image: &Path, data_bytes: u64, root_hash: &str) -> bool {
    let mut command = Command::new("veritysetup");
    command.arg("verify").arg(image).arg(image).arg(root_hash);
    command.arg(format!("--hash-offset={data_bytes}"));
    let output = command.output().unwrap();
    match output.status.code() {
        Some(0) => true,
        // A wrong parameter, a wrong block; a tool that is missing or killed has another one.
        Some(1 | 2 | 4) => false,
        code => panic!("{command:?}: {code:?}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Compares our image of `case` with that of veritysetup, and reads it.
pub(crate) fn judge(seed: u64, scratch: &Scratch) {
    let case = Case::new(seed);
    let mut ours = Vec::new();
    let sealed = case.write(&mut ours, &scratch.path("source"));
    let data = case.data();
    assert_eq!(sealed.data_bytes, data.len() as u64, "{case:?}");
    assert_eq!(sealed.size_bytes, ours.len() as u64, "{case:?}");
    let image = scratch.path("image");
    std::fs::write(&image, &data).unwrap();
    let root_hash = format(&image, sealed.data_bytes, &case.options);
    assert_eq!(hexadecimal(&sealed.root_hash), root_hash, "{case:?}");
    let mut theirs = std::fs::read(&image).unwrap();

    for image in [&ours, &theirs] {
        let found = find(image).unwrap().unwrap();
        assert_eq!((&found.options, found.data_bytes), (&case.options, sealed.data_bytes));
        assert!(verify(image, &found, &sealed.root_hash).unwrap().is_empty(), "{case:?}");
    }
    theirs.resize(theirs.len().next_multiple_of(4096), 0);
    assert!(ours == theirs, "{case:?}");
}

#[test]
fn trees_are_those_of_veritysetup_byte_for_byte() {
    let scratch = Scratch::new("verity-veritysetup");
    (0..CASES).for_each(|seed| judge(seed, &scratch));
}
