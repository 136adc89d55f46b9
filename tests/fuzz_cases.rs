//! Replays what the fuzz targets begin with, and what they have found: a file below
//! `tests/fuzz/regressions/TARGET/` each. `make fuzz` looks for more.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::string_slice,
    missing_docs,
    reason = "a panic is how a target fails"
)]
#[path = "fuzz/src/lib.rs"]
pub mod targets;

use std::fs;

use targets::TARGETS;

#[test]
fn every_target_passes_its_seeds_and_what_was_found() {
    targets::lift_limit_on_panic();
    let found = targets::root().join("tests/fuzz/regressions");
    for target in &TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty());
        for (index, seed) in seeds.iter().enumerate() {
            eprintln!("{}: seed {index}", target.name);
            assert!(seed.len() <= target.max_bytes, "{} bytes are never run", seed.len());
            target.run(seed);
        }
        let Ok(files) = fs::read_dir(found.join(target.name)) else { continue };
        for file in files {
            let path = file.unwrap().path();
            eprintln!("{}: {}", target.name, path.display());
            target.run(&fs::read(path).unwrap());
        }
    }
    for directory in fs::read_dir(&found).unwrap() {
        let name = directory.unwrap().file_name();
        assert!(TARGETS.iter().any(|target| target.name == name), "{name:?} is no target");
    }
}
