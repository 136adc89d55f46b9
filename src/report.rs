//! What people are told: errors with their exit code and hint.

use std::fmt;
use std::io;
use std::path::Path;

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

/// A host path for a message: in quotes, with control characters, directional
/// marks and bytes that are not UTF-8 escaped, so that no file name can forge a message.
#[expect(clippy::unnecessary_debug_formatting, reason = "the escaping is what is wanted")]
pub fn quoted(path: &Path) -> String {
    format!("{path:?}")
}

/// What the operating system says, such as "permission denied". An error that does
/// not come from it shows its kind only: its text may quote what was read.
pub fn reason(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else {
        return error.kind().to_string();
    };
    let text = io::Error::from_raw_os_error(number).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_forge_a_message() {
        assert_eq!(quoted(Path::new("a b/é")), "\"a b/é\"");
        assert_eq!(quoted(Path::new("a\n\x1b[2J\"\u{202e}")), r#""a\n\u{1b}[2J\"\u{202e}""#);
    }

    #[test]
    fn a_reason_is_lower_case_and_quotes_nothing() {
        assert_eq!(reason(&io::Error::from_raw_os_error(13)), "permission denied");
        let quoting = io::Error::new(io::ErrorKind::InvalidData, "canary");
        assert_eq!(reason(&quoting), "invalid data");
    }
}
