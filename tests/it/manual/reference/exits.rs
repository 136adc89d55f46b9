//! Exit codes.

use credimg::report::Exit;

use super::{FIRST, table};

pub(super) fn tables() -> Vec<(String, String)> {
    let done = ("0".to_owned(), Exit::DONE);
    let others = Exit::ALL.iter().map(|exit| ((*exit as u8).to_string(), exit.meaning()));
    let rows = std::iter::once(done).chain(others);
    let rows = rows.map(|(code, meaning)| [code, meaning.to_owned(), FIRST.to_owned()]);
    vec![("exit codes".to_owned(), table(["code", "meaning", "since"], rows))]
}
