//! Links of documents lead to files and headings that exist, and blocks are of the right kind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::page::{Part, parts, unindented};
use crate::tidy::{files_below, root};

/// How addresses of this repository's files begin.
const REPOSITORY: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/main/");
/// What a line begins with that is typed into a shell of the host, or of the guest.
const TYPED: [&str; 18] = [
    "$",
    "#",
    "apt",
    "cargo",
    "credimg",
    "curl",
    "dnf",
    "eval",
    "install",
    "make",
    "mount",
    "podman",
    "qm",
    "ssh",
    "sudo",
    "systemctl",
    "tar",
    "virsh",
];

/// A document as its lines, and its path in the repository.
struct Document {
    name: PathBuf,
    text: String,
}

impl Document {
    fn read(path: &Path) -> Self {
        let name = path.strip_prefix(root()).unwrap().to_owned();
        Self { name, text: fs::read_to_string(path).unwrap() }
    }

    fn parts(&self) -> (Vec<&str>, Vec<Part>) {
        let lines: Vec<_> = self.text.lines().collect();
        let parts = parts(&self.name.to_string_lossy(), &lines);
        (lines, parts)
    }

    /// The lines that are neither in a block nor a comment, each with its number.
    fn prose(&self) -> Vec<(usize, &str)> {
        let (lines, parts) = self.parts();
        let prose = parts.iter().filter_map(|part| match part {
            Part::Text { at } => Some((at + 1, lines[*at])),
            Part::Comment { .. } | Part::Block { .. } => None,
        });
        prose.collect()
    }

    /// Where links lead, each with its line.
    fn links(&self) -> Vec<(usize, &str)> {
        self.prose().into_iter().flat_map(links_of_line).collect()
    }

    /// The names of the headings, as mdBook and GitHub give them.
    fn headings(&self) -> Vec<String> {
        let mut seen = BTreeMap::new();
        let mut names = Vec::new();
        for (_, line) in self.prose() {
            let Some(title) = line.trim_start_matches('#').strip_prefix(' ') else { continue };
            if !line.starts_with('#') {
                continue;
            }
            let is_kept = |it: &char| it.is_alphanumeric() || "_- ".contains(*it);
            let name: String = title.trim().chars().filter(is_kept).collect();
            let name = name.to_lowercase().replace(' ', "-");
            let times: &mut usize = seen.entry(name.clone()).or_default();
            names.push(if *times == 0 { name } else { format!("{name}-{times}") });
            *times += 1;
        }
        names
    }
}

fn links_of_line((number, line): (usize, &str)) -> Vec<(usize, &str)> {
    let starts = line.match_indices("](").map(|(at, _)| at + 2);
    let links = starts.filter_map(|at| line[at..].split(')').next());
    links.map(|link| (number, link)).collect()
}

/// The documents at the top, and all below `docs`.
fn documents() -> BTreeMap<PathBuf, Document> {
    let mut files = files_below(&root().join("docs"));
    files.extend(fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()));
    files.retain(|file| file.extension().is_some_and(|it| it == "md"));
    let documents = files.iter().map(|file| Document::read(file));
    documents.map(|document| (document.name.clone(), document)).collect()
}

/// `path` as seen from the directory, without `..`.
fn joined(directory: &Path, path: &str) -> PathBuf {
    let mut joined = PathBuf::new();
    for component in directory.join(path).components() {
        if component == Component::ParentDir {
            joined.pop();
        } else {
            joined.push(component);
        }
    }
    joined
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let documents = documents();
    let mut wrong = Vec::new();
    for document in documents.values() {
        let directory = document.name.parent().unwrap();
        for (line, link) in document.links() {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if let Some(path) = link.strip_prefix(REPOSITORY) {
                PathBuf::from(path)
            } else if link.contains("://") {
                continue;
            } else if path.is_empty() {
                document.name.clone()
            } else {
                joined(directory, path)
            };
            // The book has its own pages alone; to others lead addresses of the repository.
            let is_there = root().join(&target).exists()
                && (!directory.starts_with("docs/src")
                    || target.starts_with("docs/src")
                    || link.starts_with(REPOSITORY));
            let has_heading = heading.is_empty()
                || documents
                    .get(&target)
                    .is_some_and(|it| it.headings().iter().any(|it| it == heading));
            if !is_there || !has_heading {
                wrong.push(format!("{}:{line}: {link}", document.name.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_page_of_the_book_is_in_its_table_of_contents() {
    let documents = documents();
    let contents = &documents[Path::new("docs/src/SUMMARY.md")];
    let listed: Vec<_> =
        contents.links().iter().map(|(_, link)| Path::new("docs/src").join(link)).collect();
    let pages = documents.keys().filter(|name| name.starts_with("docs/src"));
    let left: Vec<_> =
        pages.filter(|name| **name != contents.name && !listed.contains(name)).collect();
    assert!(left.is_empty(), "SUMMARY.md does not list {left:?}");
}

/// What a reader types is run by a test. What cannot run on the host, as it belongs into the guest,
/// is a block of text behind a comment that says why.
#[test]
fn what_a_reader_types_stands_in_a_console_block() {
    let mut wrong = Vec::new();
    for document in documents().values() {
        let (lines, parts) = document.parts();
        let mut comment = "";
        for part in &parts {
            match part {
                Part::Comment { text, .. } => comment = text,
                Part::Text { .. } => {}
                Part::Block { at, language, indent, content } => {
                    let said = std::mem::take(&mut comment);
                    let has_reason = said.starts_with("not run: ") || said.starts_with("file: ");
                    let mut texts = lines[content.clone()].iter().map(|it| unindented(it, *indent));
                    let is_typed = |it: String| {
                        it.split_once(' ').is_some_and(|(word, _)| TYPED.contains(&word))
                    };
                    let is_right = match language.as_str() {
                        "" | "sh" | "bash" | "shell" => false,
                        "text" => has_reason || !texts.any(is_typed),
                        _ => true,
                    };
                    if !is_right {
                        wrong.push(format!("{}:{}", document.name.display(), at + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not a console block, and no reason is given: {wrong:?}");
}

#[test]
fn the_first_page_is_short() {
    let length = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(length <= 180, "README.md has {length} lines");
}
