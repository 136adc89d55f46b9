//! What people are told: errors with their exit code and hint.

mod about;
pub mod json;
pub(crate) mod line;
mod problems;
pub(crate) mod shell;
pub mod terminal;
pub mod verbose;

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Mutex;

pub(crate) use about::About;
pub use problems::Position;
pub(crate) use problems::{Problem, Problems, Subject};

/// Exit codes, as documented in `docs/src/reference/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was compared differs.
    Different = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The manifest cannot be read or is wrong.
    Manifest = 3,
    /// A source cannot be read, or changed while it was read.
    Source = 4,
    /// A policy or a permission forbids it, or an audit found something.
    Policy = 5,
    /// A program cannot be started; a command failed, printed nothing, printed too much or took too long.
    Command = 6,
    /// The output cannot be written.
    Output = 7,
    /// An image is not valid.
    Image = 8,
    /// A signal ended the run; the process then dies by that signal.
    Interrupted = 130,
}

impl Exit {
    /// Every exit code but 0, in order.
    pub const ALL: [Self; 9] = [
        Self::Different,
        Self::Usage,
        Self::Manifest,
        Self::Source,
        Self::Policy,
        Self::Command,
        Self::Output,
        Self::Image,
        Self::Interrupted,
    ];
    /// What exit code 0 says.
    pub const DONE: &str = "done: the image and its name are on the disk";

    /// What the exit code says, in every command: a line of `docs/src/reference/exit-codes.md`.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Different => {
                "what was compared differs: two images (`diff`), an image and its manifest \
                 (`verify`), or what was sent to a machine and what arrives there (`probe`)"
            }
            Self::Usage => "the command line is wrong, or names for output what is a source",
            Self::Manifest => {
                "the manifest cannot be read, or is wrong: every problem with line, column and key \
                 path"
            }
            Self::Source => {
                "a source, a key or a path inside an image cannot be read or used; a source, a \
                 key or the manifest changed while it was read"
            }
            Self::Policy => {
                "a policy forbids it (`--mode` for everybody, a key of others or in a share, what \
                 lies under the name of an image's file and is none, a manifest that others can \
                 change where root builds, a link that others have planted, a header that asks \
                 for too much, a value of two machines of a fleet, a reader's group or a machine's \
                 directory that lets others in, a warning with `check --strict`), or `audit` found \
                 something; a permission that a source or the output lacks is 4 or 7"
            }
            Self::Command => {
                "a command of the manifest, or the program of `exec` or `probe`, cannot be started; a \
                 command failed, printed nothing, printed too much (16 MiB) or took too long (30 s); \
                 the machine of `probe` ended early or took too long"
            }
            Self::Output => {
                "the output cannot be written or does not read back (`--verify`), or credimg has \
                 a bug: it says which, or where in its source"
            }
            Self::Image => "an image cannot be read, is not valid, or is none that is read here",
            Self::Interrupted => {
                "SIGINT, SIGTERM or SIGHUP ended it: the process dies by that signal, which a \
                 shell shows as 130, 143 or 129"
            }
        }
    }
}

/// An error with its exit code and, where there is one, the way to mend it.
///
/// Invariant: neither `message` nor `hint` ever holds content or a command's
/// arguments. Of the manifest's values they hold paths and a program's name only.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Becomes the process's exit code.
    pub exit: Exit,
    /// What is wrong and where: lower case, without a full stop.
    pub message: String,
    /// How to mend it: a line each way.
    pub hint: Option<String>,
}

impl Failure {
    /// An exit code alone: what there is to say has been printed.
    pub fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// A failure without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// A bug of this program; `which` follows the word.
    pub fn bug(which: &str) -> Self {
        let message = format!("a bug of credimg{which}");
        Self::new(Exit::Output, message).hint("please report it, with this line")
    }

    /// Adds the way to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The failure that was wrapped into this error, if one was: an error of
    /// what is written has one, an error of what is read has none.
    pub fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Lets a failure pass through `std::io`; [`Failure::inside`] finds it again.
impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        Self::other(failure)
    }
}

/// Prints a failure with its hint to standard error; returns the exit code.
pub fn print_error(failure: &Failure) -> Exit {
    print_message(failure);
    failure.hint.iter().for_each(|hint| print_hint(hint));
    failure.exit
}

/// Prints a failure without its hint to standard error.
pub(crate) fn print_message(failure: &Failure) {
    // A manifest may have several problems, one a line.
    for line in failure.message.lines() {
        say("error", RED, line);
    }
}

/// Prints a hint to standard error.
pub(crate) fn print_hint(hint: &str) {
    for line in hint.lines() {
        say("hint", CYAN, line);
    }
}

/// Prints a warning to standard error.
pub fn warn(message: &str) {
    let is_about_somebody = about::note(message);
    if !is_about_somebody && let Ok(mut warnings) = WARNINGS.lock() {
        warnings.push(message.to_owned());
    }
    say("warning", YELLOW, message);
}

/// The warnings that were printed so far and are about no machine of a fleet, for reports.
pub(crate) fn warnings() -> Vec<String> {
    WARNINGS.lock().map(|warnings| warnings.clone()).unwrap_or_default()
}

/// Prints a line to standard error that tells what was done.
pub fn note(message: &str) {
    // Nothing is left to tell it to where standard error is closed.
    let _ = line::above(|| writeln!(io::stderr(), "{message}"));
}

/// A path for people: as it is, or quoted and escaped where it holds control
/// characters, directional marks or bytes that are not UTF-8, so that no file
/// name can drive a terminal or forge a line of output.
#[expect(clippy::unnecessary_debug_formatting, reason = "the escaping is what is wanted")]
pub fn shown(path: &Path) -> String {
    let is_plain = |character: char| character == '"' || character.escape_debug().len() == 1;
    match path.to_str() {
        Some(text) if text.chars().all(|character| character == '\'' || is_plain(character)) => {
            text.to_owned()
        }
        _ => format!("{path:?}"),
    }
}

/// A path of an image for people, escaped as [`shown`] does it.
pub fn shown_bytes(path: &[u8]) -> String {
    shown(Path::new(OsStr::from_bytes(path)))
}

/// A path as a word of a command that a hint names: people paste it into their shell, and others
/// may have chosen the names in it.
pub fn shell_word(path: &Path) -> String {
    String::from_utf8_lossy(&shell::quoted(shown(path).as_bytes())).into_owned()
}

/// The reason of an I/O error for people: lower case, without its number. The
/// text of an error that does not come from the operating system is not used,
/// because whoever made it may have quoted what was read.
pub fn reason(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else {
        return error.kind().to_string();
    };
    let text = io::Error::from_raw_os_error(number).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A size for people: two digits or more, rounded down.
pub fn human_size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.iter().find(|(_, shift)| bytes >> shift >= 10) {
        Some((unit, shift)) => format!("{} {unit}", bytes >> shift),
        None => format!("{} KiB", bytes >> 10),
    }
}

/// Every warning that was printed.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[1;36m";

/// One line on standard error, its kind in this colour where there are colours, and whom it is
/// about.
fn say(kind: &str, colour: &str, text: &str) {
    let about = about::name().map_or_else(String::new, |name| format!("{name}: "));
    let mut stderr = io::stderr();
    let (on, off) = if terminal::is_coloured(&stderr) { (colour, "\x1b[0m") } else { ("", "") };
    // Nothing is left to tell it to where standard error is closed.
    let _ = line::above(|| writeln!(stderr, "credimg: {on}{kind}:{off} {about}{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_paths_without_letting_them_drive_a_terminal() {
        for (path, expected) in [
            (&b"a b/\xc3\xa9's.erofs"[..], "a b/\u{e9}'s.erofs"),
            (b"a\x1b[2Jb\n", r#""a\u{1b}[2Jb\n""#),
            ("a\u{202e}b".as_bytes(), r#""a\u{202e}b""#),
            (b"\xff", r#""\xFF""#),
        ] {
            assert_eq!(shown(Path::new(OsStr::from_bytes(path))), expected);
        }
    }

    #[test]
    fn gives_the_reason_of_the_system_alone() {
        assert_eq!(reason(&io::Error::from_raw_os_error(28)), "no space left on device");
        assert_eq!(reason(&io::Error::new(io::ErrorKind::InvalidData, "hunter2")), "invalid data");
    }

    #[test]
    fn sizes_are_short() {
        let cases =
            [(8192, "8 KiB"), (24 << 10, "24 KiB"), (5 << 20, "5120 KiB"), (90 << 20, "90 MiB")];
        for (bytes, expected) in cases {
            assert_eq!(human_size(bytes), expected);
        }
    }
}
