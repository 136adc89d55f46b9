//! The rooms of the program have one order, and each imports only what stands above it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{files_below, is_rust, root};

/// The rooms, from top to bottom. ARCHITECTURE.md says what each is for.
const ROOMS: [&str; 15] = [
    "report", "host", "keys", "manifest", "monitors", "delivery", "sources", "seal", "look", "job",
    "fleet", "probe", "audit", "manual", "commands",
];
/// What a room imports that could import more.
const ONLY: [(&str, &[&str]); 2] = [("audit", &["report"]), ("manual", &["report", "manifest"])];
/// What is no room: these tie the rooms together, and no room imports them.
const TIES: [&str; 3] = ["lib", "main", "fuzzing"];

/// What the file at `path`, relative to `src`, may not import, and does.
fn faults(path: &Path, text: &str) -> Vec<String> {
    let first = path.iter().next().and_then(|name| name.to_str()).unwrap();
    let room = first.strip_suffix(".rs").unwrap_or(first);
    if TIES.contains(&room) {
        return Vec::new();
    }
    let Some(own) = ROOMS.iter().position(|name| *name == room) else {
        return vec![format!("{}: no room is called {room}", path.display())];
    };
    let only = ONLY.iter().find(|(name, _)| *name == room).map(|(_, only)| *only);
    let is_allowed = |import: &str| {
        let place = ROOMS.iter().position(|name| *name == import);
        let is_above = place.is_some_and(|place| place < own);
        import == room || (is_above && only.is_none_or(|only| only.contains(&import)))
    };
    let mut faults: Vec<_> = imports(text)
        .into_iter()
        .filter(|import| !is_allowed(import))
        .map(|import| format!("{}: {room} imports {import}", path.display()))
        .collect();
    if climbs_out(path, text) {
        faults
            .push(format!("{}: write crate::ROOM for what is outside of the room", path.display()));
    }
    faults
}

/// The first name of everything that begins with `crate::`.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().map(|line| without_comment(line).to_owned() + "\n").collect();
    let mut found = BTreeSet::new();
    for (at, mark) in code.match_indices("crate::") {
        let rest = &code[at + mark.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(first_names(group)),
            None => found.extend(name(rest)),
        }
    }
    found
}

/// The first name of each item of a group, of which `group` is what follows its brace.
fn first_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut is_first) = (Vec::new(), 0, true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_first = true,
            _ if is_first && !character.is_whitespace() => {
                names.extend(name(&group[at..]));
                is_first = false;
            }
            _ => {}
        }
    }
    names
}

/// The name at the beginning of `text`.
fn name(text: &str) -> Option<String> {
    let end = text.find(|character: char| !character.is_alphanumeric() && character != '_');
    let name = &text[..end.unwrap_or(text.len())];
    (!name.is_empty()).then(|| name.to_owned())
}

fn without_comment(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

/// Whether as many `super::` stand in a row as lead out of the room. Modules within a file
/// are tests, one deeper, and need one more than the file does.
fn climbs_out(path: &Path, text: &str) -> bool {
    let is_folder = path.ends_with("mod.rs");
    let depth = path.iter().count() - usize::from(is_folder);
    let code = text.lines().map(without_comment).collect::<Vec<_>>().join("\n");
    let file = code.split("#[cfg(test)]").next().unwrap();
    file.contains(&"super::".repeat(depth))
}

#[test]
fn each_room_imports_only_what_stands_above_it() {
    let src = root().join("src");
    let mut found = Vec::new();
    for file in files_below(&src).into_iter().filter(|file| is_rust(file)) {
        let path = file.strip_prefix(&src).unwrap();
        found.extend(faults(path, &fs::read_to_string(&file).unwrap()));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// The check itself, which would else be content with anything.
#[test]
fn what_goes_up_is_found_in_every_form() {
    let of = |path: &str, text: &str| faults(Path::new(path), text).len();
    for up in [
        "use crate::commands::build;",
        "use crate::{report, commands::build};",
        "use crate::{\n    report::{self, Failure},\n    commands,\n};",
        "fn f() { crate::commands::run(); }",
        "pub(crate) use crate::commands;",
        "use crate::fuzzing;",
        "use super::super::commands;",
    ] {
        assert_eq!(of("job/image.rs", up), 1, "{up}");
    }
    for down in [
        "use crate::report::Failure;",
        "use crate::{report, manifest::{self, Source}};",
        "use super::image;",
        "// crate::commands does so",
        "use crate::job::{commands, build};",
    ] {
        assert_eq!(of("job/image.rs", down), 0, "{down}");
    }
    assert_eq!(of("audit/mod.rs", "use crate::host;"), 1);
    assert_eq!(of("audit/mod.rs", "use crate::report;"), 0);
    assert_eq!(of("cellar/mod.rs", ""), 1);
    assert_eq!(of("report.rs", "use super::host;"), 1);
    assert_eq!(of("host/output/lock.rs", "use super::super::signals;"), 0);
}
