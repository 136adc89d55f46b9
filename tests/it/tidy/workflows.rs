//! What CI, the documents and the pages tell people to run is there to be run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::{Event, Parser};

use super::{files_below, root};

/// The documents at the top of the repository, and the pages of the manual.
fn documents() -> BTreeSet<PathBuf> {
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let documents = top.filter(|path| path.extension().is_some_and(|it| it == "md"));
    documents.chain(files_below(&root().join("docs/src"))).collect()
}

/// The workflows, templates and lists for GitHub.
fn for_github() -> BTreeSet<PathBuf> {
    files_below(&root().join(".github"))
}

/// The names of what `make` can make here.
fn make_targets() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("Makefile")).unwrap();
    let rules = text.lines().filter_map(|line| line.split_once(':'));
    rules
        .filter(|(name, rest)| is_target(name) && !rest.starts_with('='))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn is_target(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// The commands of a text: what is in backquotes or behind a prompt, and of scripts and workflows
/// each line.
fn commands(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(str::trim_start);
    if path.extension().is_some_and(|extension| extension == "md") {
        let typed = lines.filter_map(|line| line.strip_prefix("$ "));
        typed.chain(text.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
    } else {
        let line =
            |line: &str| line.trim_start_matches("- ").trim_start_matches("run: ").to_owned();
        lines.map(line).collect()
    }
}

/// What a command makes by `make`.
fn made(command: &str) -> Vec<String> {
    let one = |command: &str| {
        let mut words = command.split_whitespace().skip_while(|word| *word == "sudo");
        let is_make = words.next() == Some("make");
        let names = words.take_while(|word| is_make && is_target(word));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    command.split("&&").flat_map(one).collect()
}

#[test]
fn every_target_that_is_named_exists() {
    let targets = make_targets();
    assert!(targets.contains("quick") && !targets.contains("share"), "{targets:?}");
    let mut checked = 0;
    let paths = documents().into_iter().chain(for_github()).chain([root().join(".ci/run")]);
    for path in paths {
        for target in commands(&path).iter().flat_map(|command| made(command)) {
            assert!(targets.contains(&target), "{}: make {target}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} were found");
}

/// A tag can be moved to another commit, the commit itself cannot be changed.
#[test]
fn workflows_pin_what_they_use_and_ask_for_little() {
    let workflows = files_below(&root().join(".github/workflows"));
    assert!(!workflows.is_empty());
    for path in workflows {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.display();
        assert!(text.contains("\npermissions:\n  contents: read\n"), "{name}: no permissions");
        for line in text.lines().filter(|line| line.contains("uses:")) {
            let (_, version) = line.split_once('@').unwrap_or_else(|| panic!("{name}: {line}"));
            let (commit, tag) = version.split_once(" # v").unwrap_or((version, ""));
            let is_commit = commit.len() == 40 && commit.bytes().all(|it| it.is_ascii_hexdigit());
            assert!(is_commit && !tag.is_empty(), "{name}: not pinned: {line}");
        }
        let scripts = text.split_whitespace();
        for script in scripts.filter(|it| it.starts_with("scripts/") || it.starts_with(".ci/")) {
            assert!(root().join(script).exists(), "{name}: {script} does not exist");
        }
    }
}

#[test]
fn what_github_reads_is_yaml() {
    let files = files_below(&root().join(".github"));
    let mut mappings = 0;
    for path in files.iter().filter(|path| path.extension().is_some_and(|it| it == "yml")) {
        for event in Parser::new_from_str(&fs::read_to_string(path).unwrap()) {
            let (event, _) = event.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            mappings += usize::from(matches!(event, Event::MappingStart(..)));
        }
    }
    assert!(mappings > 20, "only {mappings} mappings");
}
