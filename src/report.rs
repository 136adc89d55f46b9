//! What people are told: errors with their exit code and hint.

use std::fmt;

/// Exit codes, as documented in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command line is wrong.
    Usage = 2,
    /// The manifest is wrong.
    Manifest = 3,
    /// A source cannot be read, or changed while it was read.
    Source = 4,
    /// A policy or a permission forbids it.
    Policy = 5,
    /// A command failed, printed nothing, printed too much or took too long.
    Command = 6,
    /// The output cannot be written.
    Output = 7,
    /// An image is not valid.
    Image = 8,
    /// A signal ended the run; the process then dies by that signal.
    Interrupted = 130,
}

/// An error with its exit code and, where there is one, the way to mend it.
///
/// Invariant: neither `message` nor `hint` ever holds a secret, a value of the
/// manifest, or a command's arguments.
#[derive(Debug)]
pub struct Failure {
    /// Becomes the process's exit code.
    pub exit: Exit,
    /// What is wrong and where: lower case, without a full stop.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// Adds the way to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
