//! The keys of one mapping: known ones are taken, all others are problems.
//! A key that credimg does not know is never shown: it may be a secret that
//! lost its indentation.

use super::error::Fault;
use super::node::{Node, Value};
use crate::report::{Position, Problem, Problems};

/// A value and where it stands.
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Position,
}

/// What is left of a mapping, each value with its key's position.
pub(super) struct Keys {
    /// Where the mapping stands.
    pub(super) at: Position,
    /// Whether a key was wrong; then it is no use to say that a key is missing.
    pub(super) is_flawed: bool,
    pairs: Vec<(&'static str, Position, Node)>,
}

impl Keys {
    /// Opens the mapping that stands at `at` and notes its unknown and repeated keys. None where the
    /// node is no mapping at all.
    pub(super) fn open(
        node: Node,
        at: Position,
        known: &'static [&'static str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let found = node.describe();
        let Value::Mapping(pairs) = node.value else {
            let message = format!("expected a mapping of keys to values, got {found}");
            problems.note(Fault::new(message).at(&at));
            return None;
        };
        let mut keys = Self { at, is_flawed: false, pairs: Vec::new() };
        for (key, value) in pairs {
            if let Err(problem) = keys.add(&key, value, known) {
                keys.is_flawed = true;
                problems.note(problem);
            }
        }
        Some(keys)
    }

    /// Which of `keys` are given, in the manifest's order, with their positions.
    pub(super) fn given(&self, keys: &[&str]) -> Vec<(&'static str, Position)> {
        let given = self.pairs.iter().filter(|(key, ..)| keys.contains(key));
        given.map(|(key, at, _)| (*key, at.clone())).collect()
    }

    /// Takes the value of `key` out, with the value's own position.
    pub(super) fn take(&mut self, key: &str) -> Option<(Node, Position)> {
        let index = self.pairs.iter().position(|(known, ..)| *known == key)?;
        let (_, at, node) = self.pairs.remove(index);
        let at = node.mark.position(&at.file, at.key_path);
        Some((node, at))
    }

    /// Takes the value of `key` out and reads it.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        read: impl Fn(Node, &Position) -> Result<T, Problem>,
        problems: &mut Problems,
    ) -> Option<At<T>> {
        let (node, at) = self.take(key)?;
        let value = problems.keep(read(node, &at))?;
        Some(At { value, at })
    }

    /// Takes a key that must be there, and reads its value.
    pub(super) fn require<T>(
        &mut self,
        key: &str,
        read: impl Fn(Node, &Position) -> Result<T, Problem>,
        problems: &mut Problems,
    ) -> Option<At<T>> {
        if !self.is_flawed && self.given(&[key]).is_empty() {
            problems.note(Fault::new(format!("missing key `{key}`")).at(&self.at));
        }
        self.read(key, read, problems)
    }

    fn add(
        &mut self,
        key: &Node,
        value: Node,
        known: &'static [&'static str],
    ) -> Result<(), Problem> {
        let at = key.mark.position(&self.at.file, &self.at.key_path);
        let Value::Scalar(text) = &key.value else {
            let message = format!("expected a key, got {}", key.describe());
            return Err(Fault::new(message).at(&at));
        };
        let is_top_level = at.key_path.is_empty();
        let known_key = known.iter().copied().find(|known| *known == text.text.as_str());
        let Some(known_key) = known_key else {
            return Err(unknown(&text.text, known).at(&at));
        };
        let dot = if is_top_level { "" } else { "." };
        let at = key.mark.position(&at.file, format!("{}{dot}{known_key}", at.key_path));
        if let Some((_, first)) = self.given(&[known_key]).first() {
            let message = format!("given twice: the first is at line {}", first.line);
            return Err(Fault::new(message).at(&at));
        }
        self.pairs.push((known_key, at, value));
        Ok(())
    }
}

fn unknown(text: &str, known: &[&str]) -> Fault {
    if text == "<<" {
        return Fault::new("YAML merge keys are not supported")
            .hint("common attributes go to `defaults`");
    }
    let close = known.iter().find(|known| is_close(text, known));
    Fault::new("unknown key").hint(match close {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("the keys here are {}", known.join(", ")),
    })
}

/// Whether few letters of `text` have to be changed, added, dropped or swapped
/// to make it `known`: one for keys of up to four letters, two for longer ones.
fn is_close(text: &str, known: &str) -> bool {
    let edits = if known.len() <= 4 { 1 } else { 2 };
    is_within(text.as_bytes(), known.as_bytes(), edits)
}

fn is_within(left: &[u8], right: &[u8], edits: usize) -> bool {
    let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) else {
        return left.len().max(right.len()) <= edits;
    };
    if first == second {
        return is_within(left_rest, right_rest, edits);
    }
    let Some(edits) = edits.checked_sub(1) else { return false };
    let is_swapped = match (left_rest, right_rest) {
        ([third, left_rest @ ..], [fourth, right_rest @ ..]) => {
            first == fourth && third == second && is_within(left_rest, right_rest, edits)
        }
        _ => false,
    };
    is_swapped
        || is_within(left_rest, right_rest, edits)
        || is_within(left, right_rest, edits)
        || is_within(left_rest, right, edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_keys_are_told_from_others() {
        for (text, known) in [
            ("fiel", "file"),
            ("files", "file"),
            ("fil", "file"),
            ("File", "file"),
            ("dirmode", "dir_mode"),
            ("dir-mode", "dir_mode"),
            ("comand", "command"),
            ("commnad", "command"),
            ("xattr", "xattrs"),
            ("symlnk", "symlink"),
        ] {
            assert!(is_close(text, known), "{text} and {known}");
        }
        for (text, known) in [
            ("cat", "tar"),
            ("fi", "file"),
            ("lief", "file"),
            ("", "env"),
            ("c", "env"),
            ("commandos!", "command"),
            ("hunter2", "owner"),
            ("password", "path"),
        ] {
            assert!(!is_close(text, known), "{text} and {known}");
        }
        assert!(!is_close(&"path".repeat(1 << 16), "path"));
    }
}
