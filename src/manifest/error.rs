//! What is wrong with a value of the manifest, never with the value itself.
//!
//! Invariant: no message and no hint holds anything that stands in the
//! manifest, except keys that credimg knows, indexes and line numbers.

use std::path::Path;

use crate::report::{Exit, Failure, Position, Problem, shown};

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

    /// The fault of an option's value.
    pub(super) fn in_option(self, option: &str) -> Failure {
        let message = format!("{option}: {}", self.message);
        Failure { exit: Exit::Usage, message, hint: self.hint }
    }

    /// The fault of the value at `position`.
    pub(super) fn at(self, position: &Position) -> Problem {
        Problem { position: Some(position.clone()), message: self.message, hint: self.hint }
    }

    /// The fault of the manifest as a whole.
    pub(super) fn of_all(self) -> Problem {
        Problem { position: None, message: self.message, hint: self.hint }
    }
}
