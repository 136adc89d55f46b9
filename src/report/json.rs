//! Reports for programs: what `--json` prints. Each is one JSON object in UTF-8 that begins with
//! [`VERSION_NAME`], and each member has a row in a table, of which the reference is made.

mod fields;

use std::path::Path;

use serde::Serialize;

use super::{Exit, Failure, shown};
pub use fields::FIELDS;

/// The first member of every report.
pub const VERSION_NAME: &str = "report_version";
/// Grows where a member goes, or its meaning changes. New members come without a new number.
pub const VERSION: u32 = 1;

/// A member of a report.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The command that prints the report.
    pub report: &'static str,
    /// The member's name; below another one its path, as in `findings[].line`.
    pub name: &'static str,
    /// The type: `string`, `number`, `boolean`, `object`, or `array of` these; `optional` stands in
    /// front where the member may be missing, and ` or null` behind where that may be its value.
    pub kind: &'static str,
    /// What it tells: Markdown, lower case, without a full stop.
    pub meaning: &'static str,
    /// The version of credimg that has it first.
    pub since: &'static str,
}

/// A report as one line, with its version in front.
pub(crate) fn line(report: &impl Serialize) -> Result<Vec<u8>, Failure> {
    #[derive(Serialize)]
    struct Versioned<'a, R> {
        report_version: u32,
        #[serde(flatten)]
        report: &'a R,
    }
    let report = Versioned { report_version: VERSION, report };
    let mut line = text(&report)?;
    line.push('\n');
    Ok(line.into_bytes())
}

/// A value as JSON that no terminal obeys, as names in an image may be anybody's choice: control
/// characters and directional marks are escaped, which says the same.
pub(crate) fn text(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::new(Exit::Output, error.to_string()))?;
    // JSON itself is ASCII, and escapes what is below the space: the rest stands inside strings.
    let is_order = |character: char| {
        character == '\u{7f}' || !character.is_ascii() && character.escape_debug().len() > 1
    };
    if !text.contains(is_order) {
        return Ok(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_order(character) {
            let mut units = [0; 2];
            let units = character.encode_utf16(&mut units);
            escaped.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            escaped.push(character);
        }
    }
    Ok(escaped)
}

/// A path as it is or, where it is not UTF-8 as all of a report, escaped as messages do it.
pub(crate) fn path(path: &Path) -> String {
    path.to_str().map_or_else(|| shown(path), str::to_owned)
}

/// The beginning of a report that is printed piece by piece: its brace and its version.
pub(crate) fn start() -> String {
    format!("{{\"{VERSION_NAME}\":{VERSION}")
}
