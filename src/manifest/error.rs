//! What is wrong with a manifest: every problem with its place, never a value.

use std::fmt;
use std::path::{Path, PathBuf};

use super::resolved::Position;
use crate::report::{Exit, Failure, shown};

/// How many problems are listed; the rest is counted.
const LISTED_PROBLEMS: usize = 20;
/// How many problems are kept, from which the listed ones are the first in the
/// manifest. A manifest of a megabyte can hold half a million.
const KEPT_PROBLEMS: usize = 1000;

/// A manifest that cannot be used: one problem or more, in the manifest's order.
///
/// Invariant: no message and no hint holds anything that stands in the
/// manifest, except keys that credimg knows, indexes and line numbers.
#[derive(Debug)]
pub struct ManifestError {
    manifest: PathBuf,
    problems: Vec<Problem>,
    count: usize,
}

impl ManifestError {
    pub(super) fn new(manifest: &Path, problem: Problem) -> Self {
        Self { manifest: manifest.into(), problems: vec![problem], count: 1 }
    }
}

impl fmt::Display for ManifestError {
    /// One line a problem: `FILE:LINE:COLUMN: KEY PATH: MESSAGE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = manifest_name(&self.manifest);
        for (index, problem) in self.problems.iter().take(LISTED_PROBLEMS).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{file}:{problem}")?;
        }
        match self.count.saturating_sub(LISTED_PROBLEMS) {
            0 => Ok(()),
            more => write!(f, "\n{file}: {more} more problems are not listed"),
        }
    }
}

impl std::error::Error for ManifestError {}

impl From<ManifestError> for Failure {
    /// Exit code 3. The message has one line a problem; the hint is the first
    /// problem's that has one, with its line where there are several problems.
    fn from(error: ManifestError) -> Self {
        let failure = Self::new(Exit::Manifest, error.to_string());
        let is_single = error.count == 1;
        let mut problems = error.problems.into_iter();
        match problems.find_map(|problem| Some((problem.hint?, problem.position))) {
            Some((hint, Some(Position { line, .. }))) if !is_single => {
                failure.hint(format!("line {line}: {hint}"))
            }
            Some((hint, _)) => failure.hint(hint),
            None => failure,
        }
    }
}

/// How messages call the manifest at `path`.
pub(crate) fn manifest_name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { shown(path) }
}

/// What is wrong with one value, before its place is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    message: String,
    hint: Option<String>,
}

impl Fault {
    /// This fault where the value is that of an option.
    pub(super) fn in_option(self, option: &str) -> Failure {
        let message = format!("{option}: {}", self.message);
        Failure { exit: Exit::Usage, message, hint: self.hint }
    }

    /// Lower case, without a full stop, and never with the value itself.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Adds the way to mend it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What is wrong, without the way to mend it.
    pub(super) fn into_message(self) -> String {
        self.message
    }

    /// Adds the place.
    pub(super) fn at(self, position: &Position) -> Problem {
        Problem { position: Some(position.clone()), message: self.message, hint: self.hint }
    }
}

/// One thing that is wrong: where, what, and the way to mend it.
#[derive(Debug)]
pub(super) struct Problem {
    position: Option<Position>,
    message: String,
    hint: Option<String>,
}

impl Problem {
    /// A problem of the manifest as a whole.
    pub(super) fn whole(fault: Fault) -> Self {
        Self { position: None, message: fault.message, hint: fault.hint }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column, key_path }) = &self.position {
            write!(f, "{line}:{column}:")?;
            if !key_path.is_empty() {
                write!(f, " {key_path}:")?;
            }
        }
        write!(f, " {}", self.message)
    }
}

/// Gathers the problems of a manifest, so that one run shows them all.
#[derive(Debug, Default)]
pub(super) struct Problems {
    kept: Vec<Problem>,
    count: usize,
}

impl Problems {
    /// Notes `problem`.
    pub(super) fn note(&mut self, problem: Problem) {
        self.count += 1;
        if self.kept.len() < KEPT_PROBLEMS {
            self.kept.push(problem);
        }
    }

    /// The value, or none once its problem is noted.
    pub(super) fn keep<T>(&mut self, outcome: Result<T, Problem>) -> Option<T> {
        outcome.map_err(|problem| self.note(problem)).ok()
    }

    /// `value` if nothing was wrong; else every problem, in the manifest's order.
    pub(super) fn finish<T>(self, manifest: &Path, value: Option<T>) -> Result<T, ManifestError> {
        let Self { kept: mut problems, count } = self;
        debug_assert!(value.is_some() || count > 0, "a manifest is refused without a reason");
        match value {
            Some(value) if count == 0 => Ok(value),
            _ => {
                problems.sort_by_key(|problem| {
                    problem.position.as_ref().map(|position| (position.line, position.column))
                });
                Err(ManifestError { manifest: manifest.into(), problems, count })
            }
        }
    }
}
