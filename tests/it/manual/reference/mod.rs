//! The tables of `docs/src/` that come from tables of the program. Each stands between two
//! comments in a page that is written by hand; `make bless` writes them anew.

mod exits;
mod keys;
mod limits;
mod options;
mod reports;
mod rules;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What the tables stand between, with their names.
const BEGIN: &str = "<!-- begin generated: ";
const END: &str = "<!-- end generated -->";
const COMMENT_END: &str = " -->\n";
/// The version that had everything first which has no other one of its own.
const FIRST: &str = "0.1.0";

/// Every table by its name.
fn tables() -> BTreeMap<String, String> {
    let tables = [
        keys::tables(),
        options::tables(),
        limits::tables(),
        targets::tables(),
        rules::tables(),
        exits::tables(),
        reports::tables(),
    ]
    .concat();
    let count = tables.len();
    let tables: BTreeMap<_, _> = tables.into_iter().collect();
    assert_eq!(tables.len(), count, "two tables have one name");
    tables
}

/// A table of Markdown, without the line breaks and bars that would end a cell.
fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String; N]| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        assert!(cells.iter().all(|cell| !cell.contains('\n')), "{cells:?}");
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(&header.map(str::to_owned)) + &line(&["---"; N].map(str::to_owned));
    text.extend(rows.into_iter().map(|row| line(&row)));
    text
}

/// The page with every table in its place, and the names of these.
fn filled(page: &Path, text: &str, tables: &BTreeMap<String, String>) -> (String, Vec<String>) {
    let (mut filled, mut names, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(COMMENT_END).unwrap();
        let (_, after) = after.split_once(END).unwrap_or_else(|| {
            panic!("{}: the table `{name}` has no end", page.display());
        });
        let table = tables.get(name).unwrap_or_else(|| {
            panic!("{}: no table is called `{name}`", page.display());
        });
        filled.extend([before, BEGIN, name, COMMENT_END, "\n", table, "\n", END]);
        names.push(name.to_owned());
        rest = after;
    }
    (filled + rest, names)
}

fn pages() -> Vec<PathBuf> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src");
    let entries = walkdir::WalkDir::new(docs).sort_by_file_name().into_iter().map(Result::unwrap);
    let paths = entries.map(walkdir::DirEntry::into_path);
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn every_table_of_the_manual_is_that_of_the_program() {
    let tables = tables();
    let mut missing: BTreeSet<_> = tables.keys().cloned().collect();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let (filled, names) = filled(&page, &text, &tables);
        for name in names {
            assert!(missing.remove(&name), "`{name}` stands twice: again in {}", page.display());
        }
        if std::env::var_os("CREDIMG_BLESS").is_some() {
            fs::write(&page, filled).unwrap();
        } else if filled != text {
            let differs = |(new, old): &(&str, &str)| new != old;
            let lines = filled.lines().zip(text.lines()).find(differs);
            panic!("{} is not up to date: run `make bless`: {lines:?}", page.display());
        }
    }
    assert!(missing.is_empty(), "no page of docs/src has these tables: {missing:?}");
}

#[test]
fn cells_and_places_are_kept_apart() {
    let text = table(["a"], [["b|c".to_owned()]]);
    assert_eq!(text, "| a |\n| --- |\n| b\\|c |\n");
    let tables = BTreeMap::from([("t".to_owned(), text.clone())]);
    let page = "one\n<!-- begin generated: t -->\nold\n<!-- end generated -->\ntwo\n";
    let (filled, names) = filled(Path::new("page.md"), page, &tables);
    let expected =
        format!("one\n<!-- begin generated: t -->\n\n{text}\n<!-- end generated -->\ntwo\n");
    assert_eq!((filled, names), (expected, vec!["t".to_owned()]));
}
