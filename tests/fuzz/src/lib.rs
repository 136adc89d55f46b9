//! The fuzz targets: each takes any bytes, and fails where the code under test breaks one of
//! its promises. libFuzzer runs them (`fuzz_targets/`), and `make test` replays what they
//! found and where they begin (`tests/fuzz_cases.rs`).

#![forbid(unsafe_code)]

pub mod archive;
pub mod arguments;
pub mod audit;
pub mod dates;
pub mod dependencies;
pub mod identity;
pub mod images;
pub mod input;
pub mod luks;
pub mod manifest;
pub mod messages;
pub mod monitors;
pub mod mounts;
pub mod names;
pub mod own_machine;
pub mod parsers;
pub mod probe;
pub mod pseudo;
pub mod read_erofs;
pub mod read_iso9660;
pub mod read_squashfs;
pub mod trees;
pub mod user_data;
pub mod verity;
pub mod wrapped;
pub mod writers;

use std::alloc::System;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use cap::Cap;

/// Refuses what a target takes beyond its memory, which ends the process.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// One way into the program.
pub struct Target {
    /// As in `cargo fuzz run NAME`.
    pub name: &'static str,
    /// Longer inputs are not run.
    pub max_bytes: usize,
    /// What one run may take besides what was there before.
    pub memory_max_bytes: usize,
    /// One run. It panics where a promise is broken.
    pub run: fn(&[u8]),
    /// What the fuzzer begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target, by name.
pub const TARGETS: [Target; 21] = [
    archive::TARGET,
    arguments::TARGET,
    audit::TARGET,
    dates::TARGET,
    dependencies::TARGET,
    identity::TARGET,
    luks::TARGET,
    luks::JSON_TARGET,
    manifest::TARGET,
    mounts::TARGET,
    names::TARGET,
    own_machine::TARGET,
    probe::TARGET,
    pseudo::TARGET,
    read_erofs::TARGET,
    read_iso9660::TARGET,
    read_squashfs::TARGET,
    user_data::TARGET,
    verity::TARGET,
    wrapped::TARGET,
    writers::TARGET,
];

impl Target {
    /// Runs `data` within the target's limits.
    pub fn run(&self, data: &[u8]) {
        if data.len() > self.max_bytes {
            return;
        }
        let limit = ALLOCATOR.allocated().saturating_add(self.memory_max_bytes);
        // Refused only where more is there already.
        let _ = ALLOCATOR.set_limit(limit);
        (self.run)(data);
        let _ = ALLOCATOR.set_limit(usize::MAX);
    }

    /// Where a directory is named by `CREDIMG_FUZZ_SEEDS`, writes this target's seeds there,
    /// prints how long its inputs may be, and ends the process.
    pub fn begin(&self) {
        lift_limit_on_panic();
        let Some(directory) = std::env::var_os("CREDIMG_FUZZ_SEEDS") else { return };
        for (index, seed) in (self.seeds)().iter().enumerate() {
            let path = Path::new(&directory).join(format!("seed-{index}"));
            fs::write(path, seed).expect("the directory can be written to");
        }
        writeln!(std::io::stdout(), "{}", self.max_bytes).expect("somebody reads it");
        std::process::exit(0);
    }
}

/// A panic is told of with more memory than a target may take.
pub fn lift_limit_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = ALLOCATOR.set_limit(usize::MAX);
        tell(panic);
    }));
}

/// The project's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let above = here.ancestors().find(|path| path.join("testdata").is_dir());
    above.unwrap_or(here).to_owned()
}

/// The contents of all files of at most 8 KiB in and below these paths of the repository,
/// in order of their paths: large ones take the fuzzer too long.
pub fn contents_below(paths: &[&str]) -> Vec<Vec<u8>> {
    let mut left: Vec<PathBuf> = paths.iter().map(|path| root().join(path)).collect();
    let mut files = Vec::new();
    while let Some(path) = left.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => left.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) => files.push(path),
        }
    }
    files.sort();
    let mut contents: Vec<_> = files.iter().flat_map(fs::read).collect();
    contents.retain(|content| content.len() <= 8 << 10);
    assert!(!contents.is_empty(), "no seeds in {paths:?}");
    contents
}

/// How seldom an input is [`amplified`], which takes a thousand times as long as it alone.
const AMPLIFIED_ONE_OF: u64 = 16384;

/// Whether this input is one of so many that take the long way, by its bytes.
pub fn is_one_of(data: &[u8], many: u64) -> bool {
    let hash = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 20) % many == 0
}

/// Now and then `data` many times over: what takes longer than in proportion to its
/// length, the fuzzer's time limit finds.
pub fn amplified(data: &[u8], to_bytes: usize) -> Option<Vec<u8>> {
    let is_chosen = !data.is_empty() && is_one_of(data, AMPLIFIED_ONE_OF);
    is_chosen.then(|| data.repeat(to_bytes / data.len()))
}
