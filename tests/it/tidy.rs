//! The repository itself: no file of it is forgotten, the rooms of the program have one order,
//! and what documents say of files is true.

mod documents;
mod rooms;
mod workflows;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files at which the compiler begins, and the directories whose files they are to reach.
const CRATES: [(&str, &str); 7] = [
    ("src/lib.rs", "src"),
    ("tests/it/main.rs", "tests/it"),
    ("tests/faults/main.rs", "tests/faults"),
    ("tests/fuzz/src/lib.rs", "tests/fuzz/src"),
    ("init/main.rs", "init"),
    ("formats/src/lib.rs", "formats/src"),
    ("formats/tests/it/main.rs", "formats/tests/it"),
];

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files in and below a directory.
pub(crate) fn files_below(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = walkdir::WalkDir::new(directory).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// The files that are modules of the crate that begins with this one.
fn modules(start: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = vec![start.to_owned()];
    while let Some(path) = left.pop() {
        let text = fs::read_to_string(&path).unwrap();
        let parent = path.parent().unwrap();
        let is_root = path == start || path.ends_with("mod.rs");
        let below = if is_root { parent.to_owned() } else { path.with_extension("") };
        // What `#[path = "..."]` says of the module of the next lines.
        let mut given = None;
        for line in text.lines().map(str::trim) {
            if let Some(line) = line.strip_prefix("#[path = \"") {
                given = Some(parent.join(line.trim_end_matches("\"]")));
            }
            let Some((before, name)) = line.strip_suffix(';').and_then(|it| it.split_once("mod "))
            else {
                continue;
            };
            if !["", "pub ", "pub(crate) ", "pub(super) "].contains(&before) {
                continue;
            }
            let places = [below.join(format!("{name}.rs")), below.join(name).join("mod.rs")];
            let place = given.take().or_else(|| places.into_iter().find(|place| place.exists()));
            left.push(place.unwrap_or_else(|| panic!("{}: {line}", path.display())));
        }
        found.insert(path.canonicalize().unwrap());
    }
    found
}

#[test]
fn every_file_of_rust_is_compiled() {
    for (start, directory) in CRATES {
        let mut reached = modules(&root().join(start));
        if start == "src/lib.rs" {
            reached.extend(modules(&root().join("src/main.rs")));
        }
        let files = files_below(&root().join(directory));
        let forgotten: Vec<_> =
            files.iter().filter(|path| is_rust(path) && !reached.contains(*path)).collect();
        assert!(forgotten.is_empty(), "no module of {start}: {forgotten:?}");
    }
}

/// Cargo finds a program in `tests/NAME.rs` and `tests/NAME/main.rs`, and nowhere else.
#[test]
fn every_folder_of_tests_is_a_program_a_package_or_named_data() {
    for tests in ["tests", "formats/tests"] {
        for entry in fs::read_dir(root().join(tests)).unwrap() {
            let path = entry.unwrap().path();
            let is_program = path.join("main.rs").exists() || path.is_file() && is_rust(&path);
            let is_other = path.join("Cargo.toml").exists() || path.ends_with("goldens");
            assert!(is_program || is_other, "{} is never run", path.display());
        }
    }
    let manifest = fs::read_to_string(root().join("tests/fuzz/Cargo.toml")).unwrap();
    for path in files_below(&root().join("tests/fuzz/fuzz_targets")) {
        let line = format!("path = \"fuzz_targets/{}\"", path.file_name().unwrap().display());
        assert!(manifest.contains(&line), "{} is never run", path.display());
    }
}

/// Scripts and lists lie beside the test that takes them, which says their name.
#[test]
fn every_file_beside_a_test_is_named_by_one() {
    for tests in ["tests/it", "tests/faults", "formats/tests/it"] {
        let (code, data): (Vec<_>, Vec<_>) =
            files_below(&root().join(tests)).into_iter().partition(|path| is_rust(path));
        let code: String = code.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        for path in data.iter().filter(|path| !path.components().any(|it| it.as_os_str() == "kept"))
        {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(code.contains(name), "{} is in no test", path.display());
        }
    }
}
