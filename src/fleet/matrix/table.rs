//! The matrix as a table for people.

use unicode_width::UnicodeWidthStr;

use super::{Cell, Group, Matrix, Row};
use crate::report::shown_bytes;

/// How wide the table is at most, unless a single name is wider.
const WIDTH: usize = 80;
/// How wide the names of secrets are at most where letters stand over the columns.
const NAME_WIDTH: usize = 40;
/// The heading over the names of secrets.
const HEADING: &str = "SECRET";
/// What the letters in cells mean.
const LEGEND: &str = "o own, s shared, . none";

/// The table, with a line below it that counts.
pub(super) fn render(matrix: &Matrix, has_colours: bool) -> String {
    let groups = matrix.groups();
    let titles: Vec<_> = groups.iter().map(|group| matrix.names(group)).collect();
    let names: Vec<String> = matrix.rows.iter().map(name).collect();
    let table = Table { groups: &groups, titles: &titles, names: &names, has_colours };
    let mut text = table.named().unwrap_or_else(|| table.lettered());
    text.push('\n');
    text.push_str(&count(matrix));
    text
}

/// The name of a secret, with its kind where a path alone would be taken for a file.
fn name(row: &Row) -> String {
    let name = shown_bytes(row.name.as_bytes());
    if row.kind == "file" { name } else { format!("{} {name}", row.kind) }
}

/// The line that counts machines and secrets.
fn count(matrix: &Matrix) -> String {
    let shared = matrix.rows.iter().filter(|row| row.cells.contains(&Cell::Shared)).count();
    let counted =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let machines = counted(matrix.machines.len(), "machine");
    format!("{machines}, {}, {shared} shared\n", counted(matrix.rows.len(), "secret"))
}

struct Table<'a> {
    groups: &'a [Group],
    /// The machines of each group.
    titles: &'a [Vec<String>],
    /// The secrets.
    names: &'a [String],
    has_colours: bool,
}

/// A column as it is drawn.
struct Column<'a> {
    title: String,
    group: &'a Group,
    width: usize,
}

impl Table<'_> {
    /// With the machines' names over the columns, where that is narrow enough.
    fn named(&self) -> Option<String> {
        let column = |(group, title): (_, &Vec<String>)| {
            let title = title.join(",");
            let width = title.width().max(word(Cell::Shared).len());
            Column { title, group, width }
        };
        let columns: Vec<_> = self.groups.iter().zip(self.titles).map(column).collect();
        let first = self.widest_name();
        let width = first + columns.iter().map(|column| 2 + column.width).sum::<usize>();
        (width <= WIDTH).then(|| self.drawn(&columns, first, "  ", word))
    }

    /// With letters over the columns, as many beside each other as there is room for. What the
    /// letters stand for is listed below.
    fn lettered(&self) -> String {
        let width = letters(self.groups.len().saturating_sub(1)).len();
        let first = self.widest_name().min(NAME_WIDTH);
        let room = (WIDTH - first) / (width + 1);
        let column = |(place, group)| Column { title: letters(place), group, width };
        let columns: Vec<_> = self.groups.iter().enumerate().map(column).collect();
        let mut text = String::new();
        for columns in columns.chunks(room.max(1)) {
            text.push_str(&self.drawn(columns, first, " ", letter));
            text.push('\n');
        }
        text.push_str(LEGEND);
        text.push('\n');
        for (Column { title, .. }, names) in columns.iter().zip(self.titles) {
            text.push_str(&wrapped(&padded(title, width), names));
        }
        text
    }

    /// The heading, then a line a secret. A name that is too wide for its column has a line of its
    /// own above its cells.
    fn drawn(
        &self,
        columns: &[Column],
        first: usize,
        gap: &str,
        text_of: fn(Cell) -> &'static str,
    ) -> String {
        let heading = columns.iter().map(|column| (BOLD, &*column.title, column.width));
        let heading = self.cells(heading, gap);
        let mut drawn = self.painted(BOLD, &padded(HEADING, first)) + &heading + "\n";
        for (row, name) in self.names.iter().enumerate() {
            let cells = columns.iter().map(|column| {
                let cell = column.group.cells.get(row).copied().unwrap_or(Cell::None);
                (colour(cell), text_of(cell), column.width)
            });
            if name.width() > first {
                drawn.push_str(name);
                drawn.push('\n');
                drawn.push_str(&padded("", first));
            } else {
                drawn.push_str(&padded(name, first));
            }
            drawn.push_str(&self.cells(cells, gap));
            drawn.push('\n');
        }
        drawn
    }

    /// Cells with colour, text and width, without white space at the end.
    fn cells<'a>(
        &self,
        cells: impl Iterator<Item = (&'a str, &'a str, usize)>,
        gap: &str,
    ) -> String {
        let (mut line, mut space) = (String::new(), 0);
        for (colour, text, width) in cells {
            line.extend(std::iter::repeat_n(' ', space));
            line.push_str(gap);
            line.push_str(&self.painted(colour, text));
            space = width.saturating_sub(text.width());
        }
        line
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.has_colours { format!("{colour}{text}\x1b[0m") } else { text.to_owned() }
    }

    fn widest_name(&self) -> usize {
        let names = self.names.iter().map(|name| name.width());
        names.max().unwrap_or_default().max(HEADING.len())
    }
}

const BOLD: &str = "\x1b[1m";

fn colour(cell: Cell) -> &'static str {
    match cell {
        Cell::None => "\x1b[2m",
        Cell::Own => "\x1b[32m",
        Cell::Shared => "\x1b[33m",
    }
}

fn word(cell: Cell) -> &'static str {
    match cell {
        Cell::None => "-",
        Cell::Own => "own",
        Cell::Shared => "shared",
    }
}

fn letter(cell: Cell) -> &'static str {
    match cell {
        Cell::None => ".",
        Cell::Own => "o",
        Cell::Shared => "s",
    }
}

/// A column's letters, as spreadsheets count: A to Z, then AA, AB and so on.
fn letters(place: usize) -> String {
    let mut letters = Vec::new();
    let mut left = Some(place);
    while let Some(place) = left {
        letters.extend(char::from_digit(u32::try_from(place % 26).unwrap_or(0) + 10, 36));
        left = (place / 26).checked_sub(1);
    }
    letters.iter().rev().map(char::to_ascii_uppercase).collect()
}

/// The names behind a title, on as many lines as they need.
fn wrapped(title: &str, names: &[String]) -> String {
    let indent = title.width() + 1;
    let (mut text, mut width) = (title.to_owned(), title.width());
    for (place, name) in names.iter().enumerate() {
        let comma = if place + 1 < names.len() { "," } else { "" };
        let added = 1 + name.width() + comma.len();
        if place > 0 && width + added > WIDTH {
            text.push('\n');
            text.push_str(&padded("", indent - 1));
            width = indent - 1;
        }
        text.push(' ');
        text.push_str(name);
        text.push_str(comma);
        width += added;
    }
    text.push('\n');
    text
}

/// The text with spaces to this width. The formatter would count characters, of which some are two
/// columns wide.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix from lines such as `/ca.pem sso`: a name and a letter a machine.
    fn matrix(machines: &[&str], rows: &[&str]) -> Matrix {
        let row = |line: &&str| {
            let (name, cells) = line.rsplit_once(' ').unwrap_or_default();
            let cell = |letter| match letter {
                'o' => Cell::Own,
                's' => Cell::Shared,
                _ => Cell::None,
            };
            let (kind, name) = name.rsplit_once(' ').unwrap_or(("file", name));
            let kind = if kind == "file" { "file" } else { "credential" };
            let cells = cells.chars().map(cell).collect();
            Row { kind, name: name.to_owned(), place: String::new(), cells }
        };
        let machines = machines.iter().map(|&name| name.to_owned()).collect();
        Matrix { machines, rows: rows.iter().map(row).collect() }
    }

    #[test]
    fn columns_that_repeat_stand_once_with_all_names() {
        let rows = ["/ssh/key ooo", "/ca.pem sss", "credential api.token oo."];
        let matrix = matrix(&["chimera-01", "chimera-02", "medusa"], &rows);
        let expected = "\
SECRET                chimera-[01-02]  medusa
/ssh/key              own              own
/ca.pem               shared           shared
credential api.token  own              -

3 machines, 3 secrets, 1 shared
";
        assert_eq!(matrix.table(false), expected);
        let coloured = matrix.table(true);
        assert!(coloured.contains("  \x1b[1mmedusa\x1b[0m\n"), "{coloured}");
        assert!(coloured.contains("  \x1b[33mshared\x1b[0m           \x1b[33m"), "{coloured}");
    }

    #[test]
    fn many_columns_have_letters_and_a_legend() {
        let machines: Vec<String> = (0..60).map(|it| format!("m{it:02}")).collect();
        let machines: Vec<&str> = machines.iter().map(|name| &**name).collect();
        // Each machine has a column of its own: its number in the letters of cells.
        let bit = |bit: u32| {
            let letters =
                (0..60).map(|machine: u32| if machine >> bit & 1 == 1 { 'o' } else { 's' });
            letters.collect::<String>()
        };
        let mut rows: Vec<String> = (0..6).map(|it| format!("/{it} {}", bit(it))).collect();
        rows.push(format!("/{} {}", "long".repeat(12), ".".repeat(60)));
        let rows: Vec<&str> = rows.iter().map(|row| &**row).collect();
        let table = matrix(&machines, &rows).table(false);
        let wide: Vec<_> = table.lines().filter(|line| line.width() > WIDTH).collect();
        assert!(wide.is_empty(), "{wide:?}");
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines.first().is_some_and(|line| line.contains("SECRET") && line.ends_with(" M")));
        assert!(lines.iter().filter(|line| line.starts_with("SECRET")).count() == 5, "{table}");
        assert!(lines.contains(&"o own, s shared, . none"), "{table}");
        assert!(lines.contains(&"A  m00") && lines.contains(&"BH m59"), "{table}");
        assert!(lines.contains(&&*format!("/{}", "long".repeat(12))), "{table}");
    }

    #[test]
    fn a_group_of_many_names_is_wrapped() {
        let machines: Vec<String> = (0..40).map(|it| format!("host{}", it * 2)).collect();
        let machines: Vec<&str> = machines.iter().map(|name| &**name).collect();
        let table = matrix(&machines, &[&format!("/a {}", "s".repeat(40))]).table(false);
        assert!(table.lines().all(|line| line.width() <= WIDTH), "{table}");
        assert!(table.starts_with("SECRET A\n/a     s\n"), "{table}");
        assert!(table.contains("\nA host0, host2,") && table.contains(", host78\n"), "{table}");
        assert!(table.ends_with("\n40 machines, 1 secret, 1 shared\n"), "{table}");
    }

    #[test]
    fn columns_count_as_in_spreadsheets() {
        let found = [0, 25, 26, 51, 52, 701, 702].map(letters);
        assert_eq!(found, ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }

    #[test]
    fn no_name_drives_the_terminal() {
        let table = matrix(&["a"], &["/\x1b[2J o"]).table(false);
        assert!(table.contains(r#""/\u{1b}[2J""#) && !table.contains('\x1b'), "{table}");
    }
}
