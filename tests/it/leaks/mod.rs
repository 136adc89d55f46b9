//! Secrets in every place where a user may write one, by mistake or on purpose: nothing of
//! them may show in what the program prints, reports, names or hands to other programs.
//!
//! `make test` tries a sample of the cases, `make test-leaks` all of them. `CREDIMG_LEAK_CASES`
//! is the number of cases to try, `CREDIMG_SEED` chooses which.

mod canary;
mod case;
mod files;
mod images;
mod looked;
mod manifests;
mod pseudo;
mod watch;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use canary::Random;
use case::Case;
use watch::Bench;

/// What `make test` tries.
const SAMPLE: usize = 700;

#[test]
fn no_output_shows_a_secret() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seed = number("CREDIMG_SEED").unwrap_or(12);
    let wanted =
        number("CREDIMG_LEAK_CASES").map_or(SAMPLE, |cases| usize::try_from(cases).unwrap());
    let mut cases = [
        manifests::cases(),
        manifests::broken_machines(),
        pseudo::cases(),
        files::cases(),
        looked::cases(),
        images::cases(),
    ]
    .concat();
    Random::new(seed).shuffle(&mut cases);
    println!("seed {seed}: {} of {} cases", wanted.min(cases.len()), cases.len());
    cases.truncate(wanted);

    let next = AtomicUsize::new(0);
    let leaks = Mutex::new(Vec::new());
    let counts = Mutex::new(BTreeMap::<(&str, i32), usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                let mut bench = Bench::new();
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (code, found) = bench.run(case);
                    *counts.lock().unwrap().entry((case.group, code)).or_default() += 1;
                    leaks.lock().unwrap().extend(found);
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{:<12} {:>9} {:>7}", "group", "exit code", "cases");
    for ((group, code), count) in &counts {
        println!("{group:<12} {code:>9} {count:>7}");
    }
    let leaks = leaks.into_inner().unwrap();
    println!("{} cases, {} leaks", cases.len(), leaks.len());
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    let codes: Vec<i32> = counts.keys().map(|(_, code)| *code).collect();
    assert!(codes.contains(&0) && codes.contains(&3), "too little was reached: {counts:?}");
    assert!(codes.iter().all(|code| (0..=8).contains(code)), "{counts:?}");
}

/// What is watched does show a secret where there is one.
#[test]
fn a_secret_that_shows_is_found() {
    let mut bench = Bench::new();
    let canary = canary::SCALAR;
    let piece = canary.get(5..11).unwrap();
    for (script, place) in [
        (format!("echo before {piece} after"), "standard output"),
        (format!("echo {} >&2", canary.to_lowercase()), "standard error"),
        (format!("mkdir -p out; : >out/.{piece}.tmp"), "a file name"),
        (format!("mkdir -p out; echo '{{\"label\": \"{piece}\"}}' >out/report.json"), "the report"),
        (format!("mkdir -p out; echo {piece} >out/words.1"), "a command's words and variables"),
        (format!("echo {}", canary::CONTENT), "standard output"),
    ] {
        let mut case = Case::new("planted", "shell", &["-c", &script]);
        case.program = Some("/bin/sh");
        let (_, found) = bench.run(&case);
        assert!(found.iter().any(|leak| leak.contains(place)), "{script}: {found:?}");
    }
    let mut clean = Case::new("planted", "shell", &["-c", "echo nothing"]);
    clean.program = Some("/bin/sh");
    assert_eq!(bench.run(&clean), (0, Vec::new()));
}
