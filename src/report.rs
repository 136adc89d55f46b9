//! What people are told: errors with their exit code and hint.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
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

/// A host path for a message, on one line whatever it holds: control
/// characters, bytes that are not UTF-8 and backslashes are escaped.
pub fn show_path(path: &Path) -> String {
    let mut shown = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' | '"' => shown.push(character),
                _ => shown.extend(character.escape_debug()),
            }
        }
        shown.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn paths_are_shown_on_one_line() {
        let odd = OsStr::from_bytes(b"it's \"\xc3\xa4\"/a\nb\x1b[31m\\\xff\xe2\x80\xae");
        let expected = "it's \"\u{e4}\"/a\\nb\\u{1b}[31m\\\\\\xff\\u{202e}";
        assert_eq!(show_path(Path::new(odd)), expected);
        assert_eq!(show_path(Path::new("keys/id 1.pem")), "keys/id 1.pem");
    }
}
