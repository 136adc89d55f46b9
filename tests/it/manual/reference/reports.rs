//! The members of JSON reports.

use credimg::report::json::{FIELDS, Field, VERSION, VERSION_NAME};

use super::{FIRST, table};

/// One table a report, in the order of the program's own, and one of what all begin with.
pub(super) fn tables() -> Vec<(String, String)> {
    let meaning = format!("the version of the reports: {VERSION} in this one");
    let first = [format!("`{VERSION_NAME}`"), "number".to_owned(), meaning, FIRST.to_owned()];
    let mut tables = vec![("members of every report".to_owned(), of_rows([first]))];
    for fields in FIELDS.chunk_by(|one, other| one.report == other.report) {
        let name = format!("members of credimg {}", fields[0].report);
        tables.push((name, of_rows(fields.iter().map(row))));
    }
    tables
}

fn of_rows(rows: impl IntoIterator<Item = [String; 4]>) -> String {
    table(["member", "type", "meaning", "since"], rows)
}

fn row(field: &Field) -> [String; 4] {
    let Field { name, kind, meaning, since, .. } = *field;
    [format!("`{name}`"), kind.to_owned(), meaning.to_owned(), since.to_owned()]
}
