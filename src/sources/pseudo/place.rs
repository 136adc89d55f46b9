//! Where a definition stands, and what is wrong with it.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::manifest::{Position, manifest_name};
use crate::report::{Exit, Failure, shown};

/// How many problems are listed; the rest is counted.
const LISTED_PROBLEMS: usize = 20;

/// Where a definition, or a part of it, stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In an item of the manifest's `pseudo`.
    Entry {
        /// The manifest.
        manifest: Arc<Path>,
        /// Where the item begins.
        position: Position,
        /// 1-based column within the item's text, in characters.
        column: u64,
    },
    /// In a pseudo file.
    File {
        /// The file.
        file: Arc<Path>,
        /// 1-based line.
        line: u64,
        /// 1-based column, in characters.
        column: u64,
    },
}

impl Place {
    /// The definition's name in messages about what it makes: `pseudo[3]` or `extra.pf:7`.
    pub fn name(&self) -> String {
        match self {
            Self::Entry { position, .. } => position.key_path.clone(),
            Self::File { file, line, .. } => format!("{}:{line}", shown(file)),
        }
    }

    /// The name with file, line and column.
    pub(super) fn full_name(&self) -> String {
        match self {
            Self::Entry { manifest, position: Position { line, column, key_path }, .. } => {
                format!("{}:{line}:{column}: {key_path}", manifest_name(manifest))
            }
            Self::File { .. } => self.to_string(),
        }
    }

    /// The name with the line where it is not part of it already.
    pub(crate) fn name_and_line(&self) -> String {
        match self {
            Self::Entry { position, .. } => {
                format!("{} (line {})", position.key_path, position.line)
            }
            Self::File { .. } => self.name(),
        }
    }

    /// Where it is, for a message that begins with something else.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Entry { position, .. } => format!("line {}", position.line),
            Self::File { .. } => self.name(),
        }
    }
}

impl fmt::Display for Place {
    /// `secrets.yaml:12:5: pseudo[3]: column 14` or `extra.pf:7:14`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry {
                manifest,
                position: Position { line, column, key_path },
                column: inner,
            } => {
                let manifest = manifest_name(manifest);
                write!(f, "{manifest}:{line}:{column}: {key_path}: column {inner}")
            }
            Self::File { file, line, column } => write!(f, "{}:{line}:{column}", shown(file)),
        }
    }
}

/// The 1-based column of a byte of `text`, in characters; bytes that are not
/// UTF-8 count one each, or none where they look like the rest of a character.
pub(super) fn column(text: &[u8], offset: usize) -> u64 {
    let before = text.get(..offset).unwrap_or(text);
    before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64 + 1
}

/// What is wrong with one definition's text, before its place is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where in the text, in bytes.
    pub(super) offset: usize,
    /// Lower case, without a full stop, and never with anything of the text itself.
    pub(super) message: Cow<'static, str>,
    /// How to mend it.
    pub(super) hint: Option<&'static str>,
}

impl Fault {
    pub(super) fn new(offset: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self { offset, message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

/// One thing that is wrong: where, what, and the way to mend it.
pub(super) struct Problem {
    place: Place,
    message: Cow<'static, str>,
    hint: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(
        place: Place,
        message: impl Into<Cow<'static, str>>,
        hint: Option<&'static str>,
    ) -> Self {
        Self { place, message: message.into(), hint }
    }
}

/// Gathers problems, so that one run shows them all.
#[derive(Default)]
pub(super) struct Problems {
    listed: Vec<Problem>,
    count: usize,
}

impl Problems {
    pub(super) fn note(&mut self, problem: Problem) {
        self.count += 1;
        if self.listed.len() < LISTED_PROBLEMS {
            self.listed.push(problem);
        }
    }

    /// A failure of exit code 3 with one line a problem, if there is any. The
    /// hint is the first problem's that has one.
    pub(super) fn finish(self) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        let mut lines: Vec<String> = self
            .listed
            .iter()
            .map(|problem| format!("{}: {}", problem.place, problem.message))
            .collect();
        match self.count - self.listed.len() {
            0 => {}
            more => {
                lines.push(format!("{more} more problems of pseudo definitions are not listed"));
            }
        }
        let failure = Failure::new(Exit::Manifest, lines.join("\n"));
        Err(match self.listed.iter().find_map(|problem| Some((problem.hint?, &problem.place))) {
            Some((hint, place)) if self.count > 1 => {
                failure.hint(format!("{}: {hint}", place.line()))
            }
            Some((hint, _)) => failure.hint(hint),
            None => failure,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a\u{20ac}b".as_bytes();
        assert_eq!((column(text, 0), column(text, 1), column(text, 4)), (1, 2, 3));
        assert_eq!(column(text, 99), 4);
        assert_eq!(column(b"\xff\xffa", 2), 3);
    }
}
