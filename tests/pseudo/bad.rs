//! Bad definitions and exactly what is said about each.
//!
//! Every bad file begins with what is expected of it: one `# expect:` line a
//! problem, the text after the file's name, and a `# hint:` line if there is a hint.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use credimg::manifest::PseudoFile;
use credimg::report::Exit;

use super::*;

/// The values of the header lines that begin with `# KEY: `.
fn header(text: &[u8], key: &str) -> Vec<String> {
    let lines = text.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    let header = lines.take_while(|line| line.starts_with("# "));
    let prefix = format!("# {key}: ");
    header.filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
}

#[test]
fn bad_definitions_give_exactly_the_expected_errors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/pseudo/bad");
    let entries = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "pf"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 100, "only {} bad files", paths.len());
    let host = Host::new();
    let mut faults = String::new();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read(&path).unwrap();
        let expected = header(&text, "expect");
        assert!(!expected.is_empty(), "{name} does not say what it expects");
        let expected: Vec<String> = expected.iter().map(|line| format!("{name}:{line}")).collect();
        let expected = expected.join("\n");
        // Where there are several problems the hint says whose it is.
        let hint = header(&text, "hint").pop().map(|hint| match hint.as_bytes()[0] {
            b'0'..=b'9' => format!("{name}:{hint}"),
            _ => hint,
        });
        let mut plan = host.plan("files: []");
        plan.pseudo.files.push(PseudoFile { path, position: None });
        let failure = host.fail(&plan, &settings());
        assert_eq!(failure.exit, Exit::Manifest, "{name}");
        let got = failure.message.replace(&format!("{}/", root.display()), "");
        let got_hint = failure.hint.map(|hint| hint.replace(&format!("{}/", root.display()), ""));
        if got != expected || got_hint != hint {
            writeln!(faults, "{name}\n  got  {got}\n  want {expected}").unwrap();
            writeln!(faults, "  got  {got_hint:?}\n  want {hint:?}").unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}");
}
