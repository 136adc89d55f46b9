//! What is wrong with a file that people write: each problem with its place, in one list.

use std::fmt;
use std::sync::Arc;

use super::{Exit, Failure};

/// How many problems are listed; the rest is counted.
const LISTED_PROBLEMS: usize = 20;
/// How many problems are kept, from which the listed ones are the first in the
/// file. A manifest of a megabyte can hold half a million.
const KEPT_PROBLEMS: usize = 1000;

/// Where something stands: in the manifest, or in a pseudo file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file as messages call it.
    pub file: Arc<str>,
    /// 1-based line.
    pub line: u64,
    /// 1-based column, in characters.
    pub column: u64,
    /// Key path in the manifest such as `files[3].mode`; empty for the manifest as a
    /// whole and in a file that has no keys.
    pub key_path: Arc<str>,
    /// 1-based column within the value's text, in characters, where that text is a
    /// definition of its own.
    pub text_column: Option<u64>,
}

impl Position {
    /// The position of a whole value.
    pub fn new(file: &Arc<str>, line: u64, column: u64, key_path: impl Into<Arc<str>>) -> Self {
        let (file, key_path) = (Arc::clone(file), key_path.into());
        Self { file, line, column, key_path, text_column: None }
    }

    /// What messages call what stands here: `pseudo[3]` or `extra.pf:7`.
    pub fn name(&self) -> String {
        if self.key_path.is_empty() {
            format!("{}:{}", self.file, self.line)
        } else {
            self.key_path.to_string()
        }
    }

    /// File, line and column: `secrets.yaml:12:5`.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// File, line, column and key path of the value: `secrets.yaml:12:5: pseudo[3]` or
    /// `extra.pf:7:14`.
    pub(crate) fn of_value(&self) -> String {
        let Self { key_path, .. } = self;
        let separator = if key_path.is_empty() { "" } else { ": " };
        format!("{}{separator}{key_path}", self.place())
    }

    /// The name with the line where the name does not tell it.
    pub(crate) fn name_and_line(&self) -> String {
        if self.key_path.is_empty() {
            self.name()
        } else {
            format!("{} (line {})", self.key_path, self.line)
        }
    }

    /// The line, for a message that begins with something else.
    pub(crate) fn line(&self) -> String {
        if self.key_path.is_empty() { self.name() } else { format!("line {}", self.line) }
    }
}

impl fmt::Display for Position {
    /// `secrets.yaml:12:5: pseudo[3]: column 14` or `extra.pf:7:14`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.of_value())?;
        match self.text_column {
            Some(column) => write!(f, ": column {column}"),
            None => Ok(()),
        }
    }
}

/// One thing that is wrong: where, what, and the way to mend it.
#[derive(Debug)]
pub(crate) struct Problem {
    /// None for the file as a whole.
    pub(crate) position: Option<Position>,
    /// Lower case, without a full stop, and never with anything that stands in the file.
    pub(crate) message: String,
    /// How to mend it.
    pub(crate) hint: Option<String>,
}

/// What the problems of a list are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The manifest's YAML.
    Manifest,
    /// Pseudo definitions, those of the manifest and those of pseudo files.
    Definitions,
}

/// Gathers problems, so that one run shows them all.
#[derive(Debug)]
pub(crate) struct Problems {
    subject: Subject,
    /// The manifest as messages call it.
    manifest: Arc<str>,
    kept: Vec<Problem>,
    count: usize,
}

impl Problems {
    /// No problem yet.
    pub(crate) fn new(subject: Subject, manifest: &Arc<str>) -> Self {
        Self { subject, manifest: Arc::clone(manifest), kept: Vec::new(), count: 0 }
    }

    /// Notes `problem`.
    pub(crate) fn note(&mut self, problem: Problem) {
        self.count += 1;
        if self.kept.len() < KEPT_PROBLEMS {
            self.kept.push(problem);
        }
    }

    /// The value, or none once its problem is noted.
    pub(crate) fn keep<T>(&mut self, outcome: Result<T, Problem>) -> Option<T> {
        outcome.map_err(|problem| self.note(problem)).ok()
    }

    /// The problems that were kept, for another list.
    pub(crate) fn into_kept(self) -> Vec<Problem> {
        self.kept
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts the problems of one file into the order in which they stand there.
    pub(crate) fn sort(&mut self) {
        self.kept.sort_by_key(|problem| {
            problem.position.as_ref().map(|position| (position.line, position.column))
        });
    }

    /// A failure of exit code 3 with one line a problem, if there is any. The hint is
    /// the first problem's that has one, with its line where there are several problems.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        let listed = self.kept.iter().take(LISTED_PROBLEMS);
        let mut lines: Vec<String> = listed.map(|problem| self.told(problem)).collect();
        match self.count.saturating_sub(LISTED_PROBLEMS) {
            0 => {}
            more => lines.push(self.not_listed(more)),
        }
        let failure = Failure::new(Exit::Manifest, lines.join("\n"));
        let hints = |problem: &Problem| Some((problem.hint.clone()?, problem.position.clone()));
        Err(match self.kept.iter().find_map(hints) {
            Some((hint, Some(position))) if self.count > 1 => {
                failure.hint(format!("{}: {hint}", self.line(&position)))
            }
            Some((hint, _)) => failure.hint(hint),
            None => failure,
        })
    }

    fn told(&self, problem: &Problem) -> String {
        match &problem.position {
            Some(position) => format!("{position}: {}", problem.message),
            None => format!("{}: {}", self.manifest, problem.message),
        }
    }

    fn not_listed(&self, more: usize) -> String {
        match self.subject {
            Subject::Manifest => format!("{}: {more} more problems are not listed", self.manifest),
            Subject::Definitions => {
                format!("{more} more problems of pseudo definitions are not listed")
            }
        }
    }

    fn line(&self, position: &Position) -> String {
        if position.file == self.manifest {
            format!("line {}", position.line)
        } else {
            position.name()
        }
    }
}
