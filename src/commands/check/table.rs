//! The tables that `check` prints for people.

use unicode_width::UnicodeWidthStr;

use super::plan::{BUILD, Limit, Planned, Value};

/// What a definition says nothing about.
const NONE: &str = "-";
/// What only a build knows.
const UNKNOWN: &str = "?";

/// Aligned columns, one line an entry: path, kind of source, mode, owner and, where any entry
/// sets one, time. The mode of `dir` and `tar` entries is that of files, a slash, that of
/// directories.
pub(super) fn entries(entries: &[Planned]) -> String {
    let mut rows = vec![["PATH", "SOURCE", "MODE", "OWNER", "MTIME"].map(str::to_owned)];
    rows.extend(entries.iter().map(|entry| {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| NONE.to_owned());
        let mode = match &entry.dir_mode {
            Some(dir_mode) => format!("{}/{dir_mode}", or_none(&entry.mode)),
            None => or_none(&entry.mode),
        };
        let (owner, mtime) = (or_none(&entry.owner), or_none(&entry.mtime));
        [entry.shown.clone(), entry.source.clone(), mode, owner, mtime]
    }));
    let has_mtime = rows.iter().skip(1).any(|[.., mtime]| mtime != BUILD && mtime != NONE);
    aligned(&rows, if has_mtime { 5 } else { 4 })
}

/// One line a credential: name, kind of source, length, channel, why. Then what is used of each
/// limit.
pub(super) fn values(values: &[Value], limits: &[Limit]) -> String {
    let header = ["CREDENTIAL", "SOURCE", "BYTES", "CHANNEL", "WHY"].map(str::to_owned);
    let mut rows = vec![header];
    rows.extend(values.iter().map(|value| {
        let bytes = value.size_bytes.map_or_else(|| UNKNOWN.to_owned(), |bytes| bytes.to_string());
        let channel = value.channel.unwrap_or(UNKNOWN).to_owned();
        [value.name.clone(), value.source.to_owned(), bytes, channel, value.why.clone()]
    }));
    let limit = |name: &str, used: &str, most: &str| format!("{name:<31}  {used:>7}  {most:>7}\n");
    let mut text = aligned(&rows, 5) + "\n" + &limit("BUDGET", "USED", "LIMIT");
    text.extend(
        limits
            .iter()
            .map(|Limit { name, used, most }| limit(name, &used.to_string(), &most.to_string())),
    );
    text
}

/// The first `columns` cells of each row, all cells of a column as wide as its widest.
fn aligned(rows: &[[String; 5]], columns: usize) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut table = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            // The formatter would count characters, of which some are two columns wide.
            format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
        });
        table.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        table.push('\n');
    }
    table
}
