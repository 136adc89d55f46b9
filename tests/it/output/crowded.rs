//! A build costs as much beside three files as beside three thousand.

use std::collections::BTreeMap;

use super::*;
use crate::support::tracer::{Action, Call, Errno, Stop, Tracer};

const FILES: &str = "label: CHIMERA\nfiles: [{path: /a, text: x}]\n";
const CREDENTIALS: &str = "label: CHIMERA\ncredentials:\n- {name: token, text: x}\n\
                           - {name: item, text: x, via: fw_cfg}\n";
const OTHERS: &str = "label: CHIMERA\ncredentials:\n- {name: token, text: y}\n\
                      - {name: other, text: x, via: fw_cfg}\n";

/// What runs in turn in one directory, each with its manifest; later ones find what
/// earlier ones have left.
const RUNS: [(&str, &str); 12] = [
    ("build m.yaml -o out/a.erofs", FILES),
    ("build m.yaml -o out/a.erofs --if-changed", FILES),
    ("build m.yaml -o out/a.erofs --json=out/report", FILES),
    ("build m.yaml -o out/a.erofs", CREDENTIALS),
    ("build m.yaml -o out/a.erofs --if-changed", CREDENTIALS),
    ("build m.yaml -o out/a.erofs", OTHERS),
    ("build m.yaml -o out/a.erofs", FILES),
    ("build m.yaml -o out/b.erofs --encrypt luks1 --key-out out/b.key", FILES),
    ("build m.yaml -o out/b.erofs --encrypt luks1 --key-out out/b.key", FILES),
    ("seal m.yaml -o share/blob --key-out out/age.key", FILES),
    ("genkey out/new.key", FILES),
    ("exec m.yaml -- true", CREDENTIALS),
];

/// How often each run makes each call beside so many files.
fn calls(count: usize, has_unnamed_files: bool) -> Vec<BTreeMap<String, usize>> {
    let host = Host::empty();
    for number in 0..count {
        host.write(format!("out/{number:04}"), "");
        host.write(format!("share/{number:04}"), "");
    }
    let run = |(arguments, manifest): (&str, &str)| {
        host.write("m.yaml", manifest);
        let mut command = host.credimg();
        command.args(arguments.split_whitespace()).env("SOURCE_DATE_EPOCH", "1700000000");
        let mut calls = BTreeMap::new();
        let outcome = Tracer::new(&command).run(|stop| {
            let Stop::Entry(call) = stop else { return Action::Run };
            // Those whose number is not a matter of chance, as with several threads.
            if ["openat", "openat2", "newfstatat", "statx", "getdents64"].contains(&call.name()) {
                *calls.entry(call.name().to_owned()).or_insert(0) += 1;
            }
            if has_unnamed_files || !is_unnamed(call) {
                Action::Run
            } else {
                Action::Fail(Errno::EOPNOTSUPP)
            }
        });
        assert_eq!(outcome.code(), Some(0), "{arguments}: {}", outcome.stderr());
        calls
    };
    RUNS.into_iter().map(run).collect()
}

fn is_unnamed(call: &Call) -> bool {
    let flag = u64::try_from(libc::O_TMPFILE).unwrap();
    call.name() == "openat" && call.arguments[2] & flag == flag
}

#[test]
fn other_files_in_the_directory_cost_nothing() {
    for has_unnamed_files in [true, false] {
        let (few, many) = (calls(3, has_unnamed_files), calls(3000, has_unnamed_files));
        for ((run, few), many) in RUNS.iter().zip(few).zip(many) {
            assert_eq!(few, many, "{run:?}, with unnamed files: {has_unnamed_files}");
        }
    }
}
