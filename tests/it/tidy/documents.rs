//! What documents say of files is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use credimg::monitors::Monitor;

use super::{files_below, root};

/// Where paths of the repository begin.
const TOPS: [&str; 8] =
    ["src", "formats", "tests", "scripts", "testdata", ".ci", ".github", "docs"];

/// The first word of each text in backquotes: a path, or a program before its arguments.
fn quoted(text: &str) -> Vec<&str> {
    let texts = text.split('`').skip(1).step_by(2);
    texts.filter_map(|text| text.split_whitespace().next()).collect()
}

/// Each text that the braces of `path` stand for, as a shell reads them.
fn expanded(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (choices, after) = rest.split_once('}').unwrap();
    choices.split(',').flat_map(|choice| expanded(&format!("{before}{choice}{after}"))).collect()
}

/// The documents at the top of the repository.
fn documents() -> Vec<PathBuf> {
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| is_markdown(path)).collect()
}

/// A path from the top must be there; a name of a file alone must be somewhere.
#[test]
fn every_file_that_documents_name_exists() {
    let mut names = BTreeSet::new();
    for top in TOPS {
        let files = files_below(&root().join(top));
        names.extend(files.iter().filter_map(|file| Some(file.file_name()?.to_owned())));
    }
    let mut checked = BTreeSet::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for path in quoted(&text).into_iter().flat_map(expanded) {
            let (first, has_slash) =
                (path.split('/').next().unwrap_or_default(), path.contains('/'));
            let is_there = if has_slash && TOPS.contains(&first) {
                root().join(path.trim_end_matches("*.txt")).exists()
            } else if !has_slash && super::is_rust(path.as_ref()) {
                names.contains(std::ffi::OsStr::new(&path))
            } else {
                continue;
            };
            assert!(is_there, "{} names {path}, which is not there", document.display());
            checked.insert(path);
        }
        let words = text.split(|it: char| !it.is_ascii_alphanumeric() && !"._-/".contains(it));
        for name in words.filter(|word| word.starts_with(is_capital) && is_markdown(word)) {
            assert!(root().join(name).exists(), "{} names {name}", document.display());
            checked.insert(name.to_owned());
        }
    }
    assert!(checked.contains("src/job/mod.rs") && checked.contains("README.md"), "{checked:?}");
}

fn is_markdown(path: impl AsRef<Path>) -> bool {
    path.as_ref().extension().is_some_and(|extension| extension == "md")
}

fn is_capital(letter: char) -> bool {
    letter.is_ascii_uppercase()
}

#[test]
fn every_monitor_has_a_page_and_a_row() {
    let pages = root().join("docs/src/monitors");
    let overview = fs::read_to_string(pages.join("README.md")).unwrap();
    for monitor in Monitor::all() {
        let name = monitor.name();
        let file = format!("{name}.md");
        let page = fs::read_to_string(pages.join(&file)).unwrap_or_default();
        assert!(page.contains("\n## Two disks\n"), "{file} is missing or does not tell all");
        assert!(overview.contains(&format!("\n| [`{name}`]({file})")), "no row has {name}");
        for bus in monitor.buses() {
            let bus = bus.to_possible_value().unwrap();
            let bus = bus.get_name();
            assert!(page.contains(bus), "{file} does not name the bus {bus}");
        }
    }
}

/// What `scripts/bench/report` finds wrong with the targets of a BENCHMARKS.md.
fn wrong_targets(text: &str) -> String {
    let page = tempfile::NamedTempFile::new().unwrap();
    fs::write(&page, text).unwrap();
    let report = root().join("scripts/bench/report");
    let output = Command::new(report).arg("--check").arg(page.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn benchmarks_show_the_targets_that_the_scripts_have() {
    let page = fs::read_to_string(root().join("BENCHMARKS.md")).unwrap();
    assert_eq!(wrong_targets(&page), "");
    let row = page.lines().find(|line| line.starts_with("| luks2, time to ")).unwrap();
    for (other, complaint) in [
        ("", "no row: luks2, time to OpenSSL's AES-XTS"),
        ("| luks2, time to OpenSSL's AES-XTS | 1.20 ≤ 1.6 |", "1.20 ≤ 1.6: the target is 1.5"),
        ("| luks2, time to OpenSSL's AES-XTS | 1.60 ≤ 1.5 |", "1.60 ≤ 1.5: judged wrong"),
        ("| luks2, time to OpenSSL's AES-XTS | 1.40 > 1.5 |", "1.40 > 1.5: judged wrong"),
        ("| luks2, time to OpenSSL's AES-XTS | fast |", "not a figure and its target: fast"),
    ] {
        let said = wrong_targets(&page.replace(row, other));
        assert!(said.contains(complaint), "{other}: {said}");
    }
}

/// Two rounds of a workload as scripts/bench/run keeps them: wall and CPU milliseconds, page
/// faults, KiB of memory and of the image.
fn results(wall: [f64; 2]) -> serde_json::Value {
    let rounds = |wall: [f64; 2], image: f64| wall.map(|wall| [wall, wall, 90.0, 4096.0, image]);
    let contenders = serde_json::json!({
        "floor": rounds([10.0, 20.0], 100.0),
        "credimg erofs": rounds(wall, 808.0),
        "credimg erofs, again": rounds(wall, 808.0),
        "mkfs.erofs": [null, [40.0, 40.0, 90.0, 4096.0, 800.0]],
    });
    let table = serde_json::json!({
        "name": "M", "title": "M: all formats", "reference": "floor", "pairs": {},
        "rounds": contenders,
    });
    let versions = serde_json::json!({"credimg": "1.0", "mkfs.erofs": "1.9"});
    let machine = serde_json::json!({
        "date": "2026-11-30", "processor": "one", "cores": 2, "virtual": false, "linux": "6.1",
        "system": "Debian", "static": {"credimg": true}, "versions": versions, "rounds": null,
        "load": {"others": 0.5, "steal": 0.0},
    });
    serde_json::json!({"machine": machine, "facts": {}, "tables": {"M": table}})
}

/// A ratio is the median of those within each round; a contender that sat out a round has fewer.
#[test]
fn benchmarks_are_written_between_their_marks_and_compared() {
    let scratch = tempfile::tempdir().unwrap();
    let (before, after) = (scratch.path().join("before"), scratch.path().join("after"));
    fs::write(&before, results([10.0, 24.0]).to_string()).unwrap();
    fs::write(&after, results([20.0, 48.0]).to_string()).unwrap();
    let page = scratch.path().join("page");
    fs::copy(root().join("BENCHMARKS.md"), &page).unwrap();
    let run = |script: &str, one: &Path, other: &Path| {
        let script = root().join("scripts/bench").join(script);
        let output = Command::new(script).args([one, other]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run("report", &before, &page);
    let written = fs::read_to_string(&page).unwrap();
    for line in [
        "the machine was not quiet",
        "| time, EROFS | ? ≤ 1.05 | 1.10 > 1.05 | ? ≤ 0.9 |",
        "| size, EROFS | ? % ≤ 1 % | +1.0 % ≤ 1 % |",
        "| mkfs.erofs |  | 0.60 |",
    ] {
        assert!(written.contains(line), "{line}: {written}");
    }
    assert!(written.contains("\n## What is measured\n"), "{written}");
    assert_eq!(wrong_targets(&written), "");
    let compared = run("compare", &before, &after);
    let row = compared.lines().find(|line| line.starts_with("credimg erofs ")).unwrap();
    let columns: Vec<_> = row.split_whitespace().skip(2).collect();
    assert_eq!(columns, ["2.000", "2.000*", "2.000", "1.000", "1.000", "1.000"]);
}
