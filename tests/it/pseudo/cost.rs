//! Pseudo files that are made to cost much end in time and in little memory. The test
//! has a process of its own, whose memory is measured.

use std::fs;
use std::path::Path;
use std::time::Duration;

use credimg::delivery::means::Means;
use credimg::manifest::{PseudoFile, parse};
use credimg::sources::assemble::{
    Assembly, MAX_SIZE_BYTES, OnExchangeable, OwnFiles, Settings, assemble,
};
use credimg::sources::command::Limits;
use credimg::sources::pseudo::Policy;
use credimg_formats::Timestamp;

use crate::support::alone::alone;
use crate::support::clock::process_time;
use crate::support::host::CREDIMG;

const MIB: usize = 1 << 20;
/// As large as definitions may be, less a little; less in a build for debugging,
/// which is about ten times as slow.
const SIZE: usize = if cfg!(debug_assertions) { 2 * MIB } else { 16 * MIB - 64 };
/// As many definitions as there may be.
const MOST: usize = 1 << 17;
const DATA: &str = "# START OF DATA - DO NOT MODIFY\n#\n";

/// `head` and then `piece` until there are `size` bytes.
fn fill(head: &str, piece: &str, size: usize) -> String {
    head.to_owned() + &piece.repeat((size - head.len()) / piece.len())
}

fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

fn deep() -> String {
    "a/".repeat(2000)
}

/// A file's name, its text, and what it is refused for, or nothing where it is valid.
type Hostile = (&'static str, fn() -> String, &'static str);

const SYNTAX: &[Hostile] = &[
    ("one line", || fill("", "a", SIZE), "longer than 16383"),
    ("line feeds", || fill("", "\n", SIZE), ""),
    ("spaces", || fill("", " \n", SIZE), ""),
    ("comments", || fill("", "#\n", SIZE), ""),
    ("too large", || fill("", &("#".repeat(16000) + "\n"), 17 * MIB), "more than 16777216 bytes"),
    ("continued", || fill("a d ", "\\\n", SIZE), "expected a mode"),
    ("continued comment", || fill("# ", "x\\\n", SIZE), ""),
    (
        "endless command",
        || fill("a f 400 0 0 : ", &("x".repeat(16000) + "\\\n"), SIZE),
        "cannot be started",
    ),
    ("quotes", || fill("", "\"\\\n", SIZE), "expected a type"),
    ("backslashes", || fill("a\\ ", "\\ \\\n", SIZE), "a name is"),
    ("slashes", || fill("", "/\\\n", SIZE), "expected a type"),
    ("long path", || fill("", "a/\\\n", SIZE), "expected a path of at most"),
    ("long number", || fill("a d 755 ", "9\\\n", SIZE), "expected a user id"),
    ("lines without a type", || "a\n".repeat(MOST + 1), "131072 definitions"),
    ("unfinished definitions", || "a d 755 0\n".repeat(MOST), "more problems"),
    ("too many", || "a d 755 0 0\n".repeat(MOST + 1), "more than 131072 definitions"),
];

const MEANING: &[Hostile] = &[
    ("one path", || "a d 755 0 0\n".repeat(MOST), "the path is taken"),
    ("directories", || numbered(MOST, |n| format!("d{n} d 755 0 0\n")), ""),
    ("deep paths", || numbered(4000, |n| format!("{}{n} d 755 0 0\n", deep())), ""),
    ("deep and wide", || numbered(4000, |n| format!("{n}/{} d 755 0 0\n", deep())), "196608 files"),
    ("deep and twice", || fill("", &format!("{}x d 755 0 0\n", deep()), SIZE), "the path is taken"),
    (
        "deep links",
        || "l s 0 0 0 t\n".to_owned() + &numbered(4000, |n| format!("{}{n} L l\n", deep())),
        "",
    ),
    ("links", || "l s 0 0 0 t\n".to_owned() + &numbered(MOST - 1, |n| format!("{n} L l\n")), ""),
    ("chained links", || numbered(MOST, |n| format!("{} L {n}\n", n + 1)), "no earlier"),
    ("xattrs", || numbered(MOST, |n| format!("/ x user.{n}=1\n")), ""),
    ("one xattr", || "/ x user.a=1\n".repeat(MOST), "given twice"),
    ("long xattrs", || numbered(1000, |n| format!("/ x user.{n}={}\n", "v".repeat(16000))), ""),
    ("dates", || "a D \"1 jan 1980 00:00:00 +01:00\" 755 0 0\n".repeat(MOST), "the path is taken"),
    (
        "pieces of data",
        || numbered(MOST, |n| format!("{n} R 0 400 0 0 99 {n} 0\n")) + &fill(DATA, "x", MIB),
        "",
    ),
    (
        "long data",
        || "a R 0 400 0 0 100000000 0 0\n".to_owned() + &fill(DATA, "x", 101_000_000),
        "",
    ),
];

/// The largest resident set of this process since `forget_peak`, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[test]
fn hostile_definitions_cost_little() {
    if !alone(concat!(module_path!(), "::hostile_definitions_cost_little")) {
        return;
    }
    // The promise is 2 s for what is shipped.
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });
    let settings = Settings {
        build_time: Timestamp::default(),
        commands: Limits::new(Path::new(CREDIMG)),
        output: OwnFiles::default(),
        policy: Policy { allow_devices: true, allow_commands: true },
        means: Means::default(),
        on_exchangeable: OnExchangeable::Taken,
        max_size_bytes: MAX_SIZE_BYTES,
        initrd: None,
        notes_inputs: false,
        shared: None,
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("extra.pf");
    let mut plan = parse(b"files: []", &directory.path().join("secrets.yaml")).unwrap();
    plan.pseudo.files.push(PseudoFile { path: path.clone(), position: None, granted: None });
    for (name, text, expected) in SYNTAX.iter().chain(MEANING) {
        fs::write(&path, text()).unwrap();
        forget_peak();
        let start = process_time();
        let outcome = assemble(&plan, &settings, &mut |_| {});
        let elapsed = process_time().checked_sub(start).unwrap();
        match outcome {
            Ok(Assembly { tree, .. }) => {
                assert_eq!(*expected, "", "{name} is accepted: {} inodes", tree.len());
            }
            Err(error) => {
                let error = format!("{error:#}");
                assert!(!expected.is_empty() && error.contains(expected), "{name}: {error}");
            }
        }
        assert!(elapsed < limit, "{name} took {elapsed:?}");
        assert!(peak_kib() < 256 << 10, "{name} brought the peak to {} KiB", peak_kib());
    }
}
