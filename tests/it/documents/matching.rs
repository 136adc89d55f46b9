//! Whether what was printed is what a page shows.

/// In place of anything within a line.
const WITHIN: &str = "[..]";
/// A line of its own, in place of any lines.
const LINES: &str = "...";

/// Whether the lines that were printed are those expected.
pub(super) fn lines_match(expected: &[String], printed: &[String]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == LINES => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others)),
    }
}

fn line_matches(expected: &str, line: &str) -> bool {
    let Some((before, rest)) = expected.split_once(WITHIN) else { return expected == line };
    let Some(behind) = line.strip_prefix(before) else { return false };
    let mut starts = behind.char_indices().map(|(at, _)| at).chain([behind.len()]);
    starts.any(|at| line_matches(rest, &behind[at..]))
}
