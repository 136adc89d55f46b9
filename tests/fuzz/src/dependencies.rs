//! Dependency files: what Make reads of one is what went in.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use credimg::job::depfile;

use super::Target;
use super::input::{self, Input};

pub const TARGET: Target =
    Target { name: "dependencies", max_bytes: 1024, memory_max_bytes: 1 << 20, run, seeds };

fn run(data: &[u8]) {
    let mut input = Input(data);
    let image = path(input.text());
    let mut inputs = Vec::new();
    while !input.0.is_empty() {
        inputs.push(path(input.text()));
    }
    let Ok(text) = depfile::render(&image, &inputs) else { return };
    let mut different: Vec<PathBuf> = Vec::new();
    for path in inputs {
        if !different.contains(&path) {
            different.push(path);
        }
    }
    // A backslash at its end continues a line with one space (GNU Make, "Splitting Long Lines").
    let text = replace(&text, b"\\\n", b" ");
    let mut rules = text.strip_suffix(b"\n").expect("a last line").split(|byte| *byte == b'\n');
    let (target, prerequisites) = rule(rules.next().expect("a rule"));
    assert_eq!(target, image);
    assert_eq!(prerequisites, different);
    for path in different {
        assert_eq!(rule(rules.next().expect("a rule for each input")), (path, Vec::new()));
    }
    assert_eq!(rules.next(), None);
}

fn path(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

fn replace(text: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let mut left = text;
    let mut replaced = Vec::with_capacity(text.len());
    while let Some(at) = left.windows(what.len()).position(|window| window == what) {
        replaced.extend_from_slice(&left[..at]);
        replaced.extend_from_slice(by);
        left = &left[at + what.len()..];
    }
    replaced.extend_from_slice(left);
    replaced
}

/// Target and prerequisites of a rule.
fn rule(line: &[u8]) -> (PathBuf, Vec<PathBuf>) {
    let mut words = vec![Vec::new()];
    let mut colon = None;
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => words.last_mut().expect("a word").push(*bytes.next().expect("a byte")),
            b'$' => words.last_mut().expect("a word").push(*bytes.next().expect("a dollar")),
            b':' => {
                assert_eq!(colon.replace(words.len()), None, "two colons");
                words.push(Vec::new());
            }
            b' ' => words.push(Vec::new()),
            byte => words.last_mut().expect("a word").push(*byte),
        }
    }
    assert_eq!(colon, Some(1), "the target is one word");
    let mut words = words.into_iter().filter(|word| !word.is_empty()).map(|word| path(&word));
    (words.next().expect("a target"), words.collect())
}

fn seeds() -> Vec<Vec<u8>> {
    [
        ["out/a.erofs", "keys/a b", "keys/$x"],
        ["a%b:c", "d#e*", "f[g]?~"],
        ["./.x", "k/ä", "../../etc/id"],
    ]
    .map(|paths| paths.map(|path| input::text(path.as_bytes())).concat())
    .to_vec()
}
