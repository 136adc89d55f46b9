//! Entries that cannot stand in one tree: two for one path, or one below what
//! is not a directory. What `dir` and `tar` sources hold is not known here.

use super::error::Fault;
use super::resolved::{Credential, Entry};
use crate::report::{Problem, Problems};

/// Notes every conflict, at the entry that stands later in the manifest. A
/// credential takes its place on the disk wherever it goes: a file of its name
/// in the guest's store would be a second credential of that name.
pub(super) fn note(entries: &[Entry], credentials: &[Credential], problems: &mut Problems) {
    let places = credentials.iter().map(|credential| &credential.entry);
    let mut sorted: Vec<&Entry> = entries.iter().chain(places).collect();
    // Stable, so that of two entries for one path the earlier one comes first.
    // Components are compared one by one: what is below a path follows it at once.
    sorted.sort_by(|left, right| left.path.cmp(&right.path));
    let mut above: Vec<&Entry> = Vec::new();
    for entry in sorted {
        while above.last().is_some_and(|last| !entry.path.0.starts_with(&last.path.0)) {
            above.pop();
        }
        match above.last().and_then(|last| conflict(last, entry)) {
            Some(problem) => problems.note(problem),
            None => above.push(entry),
        }
    }
}

/// The conflict of `entry` with one that stands at its own path or above it.
fn conflict(upper: &Entry, entry: &Entry) -> Option<Problem> {
    let is_same = upper.path == entry.path;
    let is_tree = |entry: &Entry| entry.source.makes().is_tree();
    if is_tree(upper) && (!is_same || is_tree(entry)) {
        return None;
    }
    let stands_at = |entry: &Entry| (entry.position.line, entry.position.column);
    let is_upper_later = stands_at(upper) > stands_at(entry);
    let (earlier, later) = if is_upper_later { (entry, upper) } else { (upper, entry) };
    let other = format!("{} at line {}", earlier.position.key_path, earlier.position.line);
    let fault = if is_same {
        Fault::new(format!("the path is taken by {other}"))
            .hint("only `dir` and `tar` entries can share a path")
    } else if is_upper_later {
        Fault::new(format!("{other} is below this path, which is no directory"))
    } else {
        Fault::new(format!("the path is below {other}, which is no directory"))
    };
    Some(fault.at(&later.position))
}
