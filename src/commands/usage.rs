//! What people are told of a command line that cannot be run: the help that they ask for, and
//! the parser's errors in the shape of all others.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Error, ValueEnum};

use super::{Cli, print};
use crate::job::volume;
use crate::report::terminal::{self, Colour};
use crate::report::{Exit, Failure, shell_word, shown};

/// Names that commands have in other programs, each with the command of credimg.
const OTHER_NAMES: [(&str, &str); 11] = [
    ("create", "credimg build"),
    ("make", "credimg build"),
    ("run", "credimg exec"),
    ("start", "credimg exec"),
    ("validate", "credimg check"),
    ("lint", "credimg check"),
    ("info", "credimg inspect"),
    ("show", "credimg inspect"),
    ("mount", "credimg ls"),
    ("unpack", "credimg extract"),
    ("version", "credimg --version"),
];

/// When there are colours, by the command line; also if the rest of it is wrong.
pub fn colour(words: &[OsString]) -> Colour {
    let mut wish = Colour::default();
    let mut words = own_words(words);
    while let Some(word) = words.next().and_then(OsStr::to_str) {
        let value = match word.strip_prefix("--color") {
            Some("") => words.next().and_then(OsStr::to_str),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        if let Some(value) = value.and_then(|value| Colour::from_str(value, false).ok()) {
            wish = value;
        }
    }
    wish
}

/// Prints what was asked for, such as the help, as data; an error is one of exit code 2.
pub fn answer(mut answer: Error, words: &[OsString]) -> Result<(), Failure> {
    if answer.use_stderr() {
        if answer.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            // Nothing is left to tell it to where standard error is closed.
            let _ = io::stderr().write_all(coloured(&answer, &io::stderr()).as_bytes());
            return Err(Failure::silent(Exit::Usage));
        }
        return Err(failure(&mut answer, words));
    }
    print(coloured(&answer, &io::stdout()).as_bytes())
}

fn coloured(answer: &Error, stream: &impl IsTerminal) -> String {
    let text = answer.render();
    if terminal::is_coloured(stream) { text.ansi().to_string() } else { text.to_string() }
}

fn failure(error: &mut Error, words: &[OsString]) -> Failure {
    let path = command_path(words);
    let own = of_program_without_dashes(error, &path, words)
        .or_else(|| of_secret_argument(error, &path))
        .or_else(|| of_image_without_option(error, &path, words))
        .or_else(|| of_unknown_command(error));
    let failure = own.unwrap_or_else(|| in_our_shape(error));
    let hints: Vec<_> =
        failure.hint.into_iter().chain([format!("`{path} --help` tells more")]).collect();
    Failure::new(Exit::Usage, failure.message).hint(hints.join("\n"))
}

/// The parser's error in the shape of all others: a line with the message, then a hint for each
/// tip, for the possible values and for the usage.
fn in_our_shape(error: &mut Error) -> Failure {
    escape(error);
    let text = error.render().to_string();
    let (mut message, mut hints) = (String::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(first) = line.strip_prefix("error: ") {
            first.clone_into(&mut message);
        } else if let Some(tip) = line.strip_prefix("tip: ") {
            hints.push(tip.to_owned());
        } else if let Some(values) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            hints.push(values.to_owned());
        } else if let Some(usage) = line.strip_prefix("Usage: ") {
            hints.push(format!("usage: {usage}"));
        } else if !line.starts_with("For more information") {
            // The parser lists missing arguments on lines of their own.
            let separator = if message.ends_with(':') { " " } else { ", " };
            message = format!("{message}{separator}{line}");
        }
    }
    let failure = Failure::new(Exit::Usage, message);
    if hints.is_empty() { failure } else { failure.hint(hints.join("\n")) }
}

/// Escapes the command line's words in an error, so that none drives a terminal or forges a line.
fn escape(error: &mut Error) {
    let escaped = |text: &str| shown(Path::new(text));
    let values: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| {
            let ContextValue::String(text) = value else { return None };
            Some((kind, ContextValue::String(escaped(text))))
        })
        .collect();
    for (kind, value) in values {
        error.insert(kind, value);
    }
}

/// `credimg exec secrets.yaml qemu-system-x86_64 -m 1G`
fn of_program_without_dashes(error: &Error, path: &str, words: &[OsString]) -> Option<Failure> {
    if path != "credimg exec" {
        return None;
    }
    if is_missing(error, "<PROGRAM>...") && own_words(words).count() > 1 {
        let message = "there is no program to start";
        return Some(Failure::new(Exit::Usage, message).hint(
            "it stands behind --, as in `credimg exec secrets.yaml -- qemu-system-x86_64 -m 1G`",
        ));
    }
    let program = unexpected(error).filter(|word| !word.starts_with('-'))?;
    if own_words(words).count() + 1 < words.len() {
        return None; // There is a `--` already.
    }
    let at = words.iter().position(|word| word == program)?;
    let before: Vec<_> = words.get(1..at)?.iter().map(|word| shell_word(word.as_ref())).collect();
    // The program's arguments may hold secrets, so they are not shown.
    let rest = if words.len() > at + 1 { " …" } else { "" };
    let program = shell_word(program.as_ref());
    let message = format!("the program to start stands behind --, and {program} does not");
    let hint = format!("write `credimg {} -- {program}{rest}`", before.join(" "));
    Some(Failure::new(Exit::Usage, message).hint(hint))
}

/// `credimg secret wrap hunter2`
fn of_secret_argument(error: &Error, path: &str) -> Option<Failure> {
    unexpected(error).filter(|_| path.starts_with("credimg secret "))?;
    let message = "an argument too many, which is not shown: it may be a secret";
    Some(Failure::new(Exit::Usage, message).hint(
        "the secret comes by standard input, since every user of the host sees command lines",
    ))
}

/// `credimg build secrets.yaml chimera.erofs`
fn of_image_without_option(error: &Error, path: &str, words: &[OsString]) -> Option<Failure> {
    let image = unexpected(error).filter(|word| !word.starts_with('-'))?;
    let has_output = own_words(words).any(|word| {
        let word = word.to_string_lossy();
        word.starts_with("-o") || word.starts_with("--output")
    });
    if has_output || path != "credimg build" {
        return None;
    }
    let message = format!("unexpected argument '{}'", shown(image.as_ref()));
    let hint = format!("-o names the image that is written: `-o {}`", shell_word(image.as_ref()));
    Some(Failure::new(Exit::Usage, message).hint(hint))
}

/// `credimg secrets.yaml`, or a command that another program has.
fn of_unknown_command(error: &Error) -> Option<Failure> {
    let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let word = shell_word(name.as_ref());
    let extension = Path::new(name).extension().and_then(OsStr::to_str);
    let hint = if matches!(extension, Some("yaml" | "yml" | "json")) {
        format!(
            "`credimg check {word}` shows what the manifest gives, `credimg build {word} -o \
             IMAGE.erofs` builds its image"
        )
    } else if volume::named_by(name.as_ref()).is_some() {
        format!("`credimg inspect {word}` says what the image is, `credimg ls {word}` lists it")
    } else {
        let (_, own) = OTHER_NAMES.iter().find(|(other, _)| other == name)?;
        format!("`{own}` comes nearest to it")
    };
    let message = format!("there is no command '{}'", shown(name.as_ref()));
    Some(Failure::new(Exit::Usage, message).hint(hint))
}

/// The unexpected argument, if that is the error.
fn unexpected(error: &Error) -> Option<&str> {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) => Some(word),
        _ => None,
    }
}

/// Whether this argument, and only this one, is missing.
fn is_missing(error: &Error, argument: &str) -> bool {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) => {
            matches!(missing.as_slice(), [only] if only == argument)
        }
        _ => false,
    }
}

/// The words that are credimg's: those behind `--` are another program's.
fn own_words(words: &[OsString]) -> impl Iterator<Item = &OsStr> {
    words.iter().skip(1).map(OsString::as_os_str).take_while(|word| *word != "--")
}

/// The command that the words name, as `credimg secret wrap`.
fn command_path(words: &[OsString]) -> String {
    let mut path = "credimg".to_owned();
    let mut command = Cli::command();
    command.build();
    for word in own_words(words).filter_map(OsStr::to_str).filter(|word| *word != "help") {
        let Some(found) = command.find_subcommand(word).cloned() else { continue };
        path = format!("{path} {word}");
        command = found;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_wish_for_colours_is_found_wherever_it_stands() {
        for (line, expected) in [
            ("credimg --color never build", Colour::Never),
            ("credimg build --color=always --wrong", Colour::Always),
            ("credimg --color=always build --color never", Colour::Never),
            ("credimg --color sometimes", Colour::Auto),
            ("credimg --color", Colour::Auto),
            ("credimg exec m -- qemu --color always", Colour::Auto),
        ] {
            assert_eq!(colour(&words(line)), expected, "{line}");
        }
    }

    #[test]
    fn a_command_is_found_among_its_options() {
        for (line, expected) in [
            ("credimg", "credimg"),
            ("credimg --color never secret wrap x", "credimg secret wrap"),
            ("credimg build build", "credimg build"),
            ("credimg exec m -- check", "credimg exec"),
            ("credimg nothing", "credimg"),
            ("credimg help secret wrap", "credimg secret wrap"),
            ("credimg secret help", "credimg secret"),
        ] {
            assert_eq!(command_path(&words(line)), expected, "{line}");
        }
    }
}
