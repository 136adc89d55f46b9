//! Bad definitions and exactly what is said about each.
//!
//! Every bad file begins with what is expected of it: one `# expect:` line a
//! problem, the text after the file's name, and a `# hint:` line if there is a hint.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use credimg::manifest::{PseudoFile, PseudoText};
use credimg::report::{Exit, Position};
use credimg::sources::pseudo;
use credimg_formats::Secret;

use super::*;

/// The values of the header lines that begin with `# KEY: `.
fn header(text: &[u8], key: &str) -> Vec<String> {
    let lines = text.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    let header = lines.take_while(|line| line.starts_with("# "));
    let prefix = format!("# {key}: ");
    header.filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
}

/// One definition of each form, whole and valid.
const FORMS: &[&str] = &[
    "p d 755 0 0",
    "p D 0 755 0 0",
    "p D \"1 jan 1980\" 755 0 0",
    "p m 600 1 2",
    "p b 600 0 0 8 1",
    "p C 0 600 0 0 1 3",
    "p f 400 0 0 echo x",
    "p F 0 400 0 0 echo x",
    "p s 0 0 0 target",
    "p S 0 0 0 0 target",
    "p i 600 0 0 f",
    "p I 0 600 0 0 s",
    "p x user.a=b",
    "p x user.a=0sAAECAw==",
    "p l key",
    "p h \"key\" x",
    "p L p",
    "p R 0 400 0 0 1 0 0",
];

/// The rule: nothing of a definition is ever shown but paths.
#[test]
fn no_word_of_a_definition_is_shown() {
    let mut plan = Host::empty().plan("files: []");
    let position = Position::new(&"secrets.yaml".into(), 1, 1, "pseudo[0]");
    let mut refused = 0;
    for form in FORMS {
        let words: Vec<&str> = form.split(' ').collect();
        for index in 1..words.len() {
            for disguise in
                ["@", "\"@", "\"@\"", "@\\", "0@", "@ @", "7@", "user.@=@", "user.a=0s@", "-1@"]
            {
                let mut words = words.clone();
                let canary = disguise.replace('@', CANARY);
                words[index] = &canary;
                // Not through a file: one that is new has to come to rest first.
                let text = Secret::from(words.join(" ").as_bytes());
                plan.pseudo.definitions =
                    vec![PseudoText { text, position: position.clone(), granted: None }];
                let Err(failure) = pseudo::load(&plan) else { continue };
                let seen = format!("{failure} {failure:?}");
                assert!(!seen.contains(CANARY), "{words:?} is shown: {seen}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 800);
}

#[test]
fn bad_definitions_give_exactly_the_expected_errors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/pseudo/bad");
    let entries = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "pf"))
        .collect();
    paths.sort();
    assert_eq!(paths.len(), 105, "bad files");
    let host = Host::empty();
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
        plan.pseudo.files.push(PseudoFile { path, position: None, granted: None });
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
