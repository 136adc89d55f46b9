//! The keys of one mapping: known ones are taken, all others are problems.
//! A key that credimg does not know is never shown: it may be a secret that
//! lost its indentation.

use std::sync::Arc;

use super::EXAMPLE_HINT;
use super::error::Fault;
use super::keys::Key;
use super::node::{Node, Value};
use super::source::SourceKey;
use crate::report::{Position, Problem, Problems};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Position,
}

/// A key with where it stands, and its value.
struct Pair {
    key: &'static Key,
    at: Position,
    node: Node,
}

/// What is left of a mapping, each value with its key's position.
pub(super) struct Keys {
    /// Where the mapping stands.
    pub(super) at: Position,
    /// Whether a key was wrong; then it is no use to say that a key is missing.
    pub(super) is_flawed: bool,
    known: &'static [Key],
    pairs: Vec<Pair>,
}

impl Keys {
    /// Opens the mapping that stands at `at` and notes its unknown and repeated keys. None where the
    /// node is no mapping at all.
    pub(super) fn open(
        node: Node,
        at: Position,
        known: &'static [Key],
        problems: &mut Problems,
    ) -> Option<Self> {
        let found = node.describe();
        let Value::Mapping(pairs) = node.value else {
            let fault = Fault::new(format!("expected a mapping of keys to values, got {found}"));
            let is_whole = at.key_path.is_empty();
            let fault = if is_whole { fault.hint(EXAMPLE_HINT) } else { fault };
            problems.note(fault.at(&at));
            return None;
        };
        let mut keys = Self { at, is_flawed: false, known, pairs: Vec::new() };
        for (key, value) in pairs {
            if let Err(problem) = keys.add(&key, value) {
                keys.is_flawed = true;
                problems.note(problem);
            }
        }
        Some(keys)
    }

    /// Where one of `names` is given for the first time, if any is.
    pub(super) fn given(&self, names: &[&str]) -> Option<&Position> {
        self.pairs.iter().find(|pair| names.contains(&pair.key.name)).map(|pair| &pair.at)
    }

    /// The sources that are given, in the manifest's order, with their names and positions.
    pub(super) fn given_sources(&self) -> Vec<(SourceKey, &'static str, Position)> {
        let source = |pair: &Pair| Some((pair.key.source()?, pair.key.name, pair.at.clone()));
        self.pairs.iter().filter_map(source).collect()
    }

    /// The names of the sources that may stand here.
    pub(super) fn known_sources(&self) -> Vec<&'static str> {
        let sources = self.known.iter().filter(|key| key.source().is_some());
        sources.map(|key| key.name).collect()
    }

    /// Takes the value of the key `name` out, with the value's own position.
    pub(super) fn take(&mut self, name: &str) -> Option<(Node, Position)> {
        debug_assert!(self.known.iter().any(|key| key.name == name), "`{name}` is in no table");
        let index = self.pairs.iter().position(|pair| pair.key.name == name)?;
        let Pair { at, node, .. } = self.pairs.remove(index);
        let at = node.mark.position(&at.file, at.key_path);
        Some((node, at))
    }

    /// Takes the value of the key `name` out and reads it.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        read: impl Fn(Node, &Position) -> Result<T, Problem>,
        problems: &mut Problems,
    ) -> Option<At<T>> {
        let (node, at) = self.take(name)?;
        let value = problems.keep(read(node, &at))?;
        Some(At { value, at })
    }

    /// Takes a key that must be there, and reads its value.
    pub(super) fn require<T>(
        &mut self,
        name: &str,
        read: impl Fn(Node, &Position) -> Result<T, Problem>,
        problems: &mut Problems,
    ) -> Option<At<T>> {
        if !self.is_flawed && self.given(&[name]).is_none() {
            problems.note(Fault::new(format!("missing key `{name}`")).at(&self.at));
        }
        self.read(name, read, problems)
    }

    fn add(&mut self, key: &Node, node: Node) -> Result<(), Problem> {
        let at = key.mark.position(&self.at.file, Arc::clone(&self.at.key_path));
        let Value::Scalar(text) = &key.value else {
            let message = format!("expected a key, got {}", key.describe());
            return Err(Fault::new(message).at(&at));
        };
        let is_top_level = at.key_path.is_empty();
        let Some(known) = self.known.iter().find(|known| known.name == text.text.as_str()) else {
            return Err(unknown(&text.text, self.known).at(&at));
        };
        let dot = if is_top_level { "" } else { "." };
        let at = key.mark.position(&at.file, format!("{}{dot}{}", at.key_path, known.name));
        if let Some(first) = self.given(&[known.name]) {
            let message = format!("given twice: the first is at line {}", first.line);
            return Err(Fault::new(message).at(&at));
        }
        self.pairs.push(Pair { key: known, at, node });
        Ok(())
    }
}

fn unknown(text: &str, known: &[Key]) -> Fault {
    if text == "<<" {
        return Fault::new("YAML merge keys are not supported")
            .hint("common attributes go to `defaults`");
    }
    let names = known.iter().map(|key| key.name);
    let close = names.clone().find(|name| is_close(text, name));
    Fault::new("unknown key").hint(match close {
        Some(close) => format!("did you mean `{close}`?"),
        None => match known {
            [only] => format!("the only key here is `{}`", only.name),
            _ => format!("the keys here are {}", names.collect::<Vec<_>>().join(", ")),
        },
    })
}

/// Whether few letters of `text` have to be changed, added, dropped or swapped
/// to make it `known`: one for keys of up to four letters, two for longer ones.
pub(super) fn is_close(text: &str, known: &str) -> bool {
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
