//! What is found in the corpus, and what is not.
//!
//! A leaking file says what is to be found: one `expect: RULE LINE:COLUMN` a
//! finding, in the comments at its top, or in `leaks/INDEX` where its format has
//! no comments.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use credimg::audit::{Rule, audit};

use super::{corpus, credimg, name, show, texts};

/// Every leaking file holds at least one of these, or a variable.
const CANARIES: [&str; 3] = ["letmein", "hunter2", "bGV0bWVpbg"];

fn expected(path: &Path, index: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let header = text.lines().map_while(|line| {
        let comment = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
        comment.or(line.strip_prefix("# "))?.strip_prefix("expect: ").map(str::to_owned)
    });
    let prefix = format!("{}: ", name(path));
    let indexed = index.lines().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned));
    header.chain(indexed).collect()
}

#[test]
fn every_leak_is_found_where_it_stands() {
    let index = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/audit/leaks/INDEX"),
    )
    .unwrap();
    let paths = corpus("leaks");
    assert_eq!(paths.len(), 179, "leaking files");
    let (mut faults, mut rules) = (String::new(), BTreeSet::new());
    for path in &paths {
        let want = expected(path, &index);
        assert!(!want.is_empty(), "{} does not say what it expects", name(path));
        let found = audit(&fs::read(path).unwrap()).findings;
        let got: Vec<String> = found.iter().map(show).collect();
        rules.extend(found.iter().map(|finding| finding.rule));
        if got != want {
            writeln!(faults, "{}\n  got  {got:?}\n  want {want:?}", name(path)).unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}");
    assert_eq!(rules, BTreeSet::from(Rule::ALL), "a rule without a leaking file");
}

#[test]
fn nothing_is_found_in_safe_files() {
    let paths = corpus("safe");
    assert_eq!(paths.len(), 108, "safe files");
    let mut faults = String::new();
    for path in &paths {
        for finding in audit(&fs::read(path).unwrap()).findings {
            writeln!(faults, "{}: {}", name(path), show(&finding)).unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn what_is_found_is_never_shown() {
    for path in corpus("leaks") {
        let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
        assert!(text.contains('$') || CANARIES.iter().any(|canary| text.contains(canary)));
        for options in [&[][..], &["--json"]] {
            let mut command = credimg(options);
            let output = command.arg(name(&path)).current_dir(path.parent().unwrap()).output();
            let output = output.unwrap();
            assert_eq!(output.status.code(), Some(5), "{}", name(&path));
            let (stdout, stderr) = texts(&output);
            for canary in CANARIES {
                assert!(!stdout.contains(canary) && !stderr.contains(canary), "{stdout}{stderr}");
            }
        }
    }
}
