//! What documents say of files is true.

use std::collections::BTreeSet;
use std::fs;

use credimg::monitors::Monitor;

use super::{files_below, root};

/// Where paths of the repository begin.
const TOPS: [&str; 7] = ["src", "formats", "tests", "scripts", "testdata", ".ci", "docs"];

/// The texts in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Each text that the braces of `path` stand for, as a shell reads them.
fn expanded(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (choices, after) = rest.split_once('}').unwrap();
    choices.split(',').flat_map(|choice| expanded(&format!("{before}{choice}{after}"))).collect()
}

/// A path from the top must be there; a name of a file alone must be somewhere.
#[test]
fn every_file_that_is_named_in_the_architecture_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut names = BTreeSet::new();
    for top in TOPS {
        let files = files_below(&root().join(top));
        names.extend(files.iter().filter_map(|file| Some(file.file_name()?.to_owned())));
    }
    let mut checked = Vec::new();
    let mut missing = Vec::new();
    for path in quoted(&text).into_iter().flat_map(expanded) {
        let (first, has_slash) = (path.split('/').next().unwrap_or_default(), path.contains('/'));
        let is_there = if has_slash && TOPS.contains(&first) {
            root().join(path.trim_end_matches("*.txt")).exists()
        } else if !has_slash && super::is_rust(path.as_ref()) {
            names.contains(std::ffi::OsStr::new(&path))
        } else {
            continue;
        };
        if !is_there {
            missing.push(path.clone());
        }
        checked.push(path);
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md names what is not there: {missing:?}");
    assert!(checked.iter().any(|path| path == "src/job/mod.rs"), "no path was found");
}

/// README.md and every page of the manual.
fn manual() -> String {
    let mut pages = files_below(&root().join("docs/src"));
    pages.insert(root().join("README.md"));
    pages.iter().map(|page| fs::read_to_string(page).unwrap()).collect()
}

#[test]
fn every_monitor_is_named_in_the_manual() {
    let manual = manual();
    for monitor in Monitor::all() {
        let name = monitor.name();
        // The pages are about QEMU where they name no monitor.
        let is_told = *monitor == Monitor::Qemu || manual.contains(&format!("\n| `{name}` | "));
        assert!(is_told, "no page has a row for {name}");
    }
}
