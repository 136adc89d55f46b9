//! The arguments that give a machine to a monitor, before they are written in a style.

use std::string::FromUtf8Error;

use serde::Serialize;
use serde_json::json;

use super::Style;
use super::facts::Words;
use crate::report::{Exit, Failure, shell};

/// The arguments that give a machine to a monitor.
#[derive(Clone)]
pub enum Arguments {
    /// Words of a command line. Paths need not be UTF-8, so they are bytes.
    Words(Words),
    /// A text in a syntax of the monitor's own: XML, JSON or a configuration file.
    Text(Vec<u8>),
}

/// The members of a JSON report that hold arguments; all are none where there are no arguments. The
/// names are stable: programs read them.
#[derive(Default, Serialize)]
pub(crate) struct Attachment {
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<String>,
}

impl Arguments {
    /// No arguments.
    pub(super) const NONE: Self = Self::Words(Vec::new());

    /// The arguments in this style, ending in a newline unless there are none. Words that the style
    /// cannot carry are an error of [`Exit::Usage`].
    pub(crate) fn printed(&self, style: Style) -> Result<Vec<u8>, Failure> {
        match (self, style) {
            (Self::Text(text), _) => Ok(text.clone()),
            (Self::Words(words), _) if words.is_empty() => Ok(Vec::new()),
            (Self::Words(_), Style::None) => Ok(Vec::new()),
            (Self::Words(words), Style::Lines) => lines(words),
            (Self::Words(words), Style::Json) => json_array(words),
            // The other styles are for texts; words are written for a shell.
            (
                Self::Words(words),
                Style::Shell
                | Style::Blockdev
                | Style::Readconfig
                | Style::Api
                | Style::Disk
                | Style::Sysinfo
                | Style::Secret,
            ) => Ok(shell::line(words)),
        }
    }

    /// An error where [`Self::reported`] would be one.
    pub(crate) fn require_reported(&self) -> Result<(), Failure> {
        let is_text = match self {
            Self::Text(bytes) => str::from_utf8(bytes).is_ok(),
            Self::Words(words) => words.iter().all(|word| str::from_utf8(word).is_ok()),
        };
        if is_text { Ok(()) } else { Err(not_reported()) }
    }

    /// The arguments for a report, which is UTF-8. A path that is not is an error of
    /// [`Exit::Usage`].
    pub(crate) fn reported(&self) -> Result<Attachment, Failure> {
        let attachment = match self {
            Self::Text(bytes) => String::from_utf8(bytes.clone()).map(|configuration| Attachment {
                configuration: Some(configuration),
                ..Attachment::default()
            }),
            Self::Words(words) if words.is_empty() => Ok(Attachment::default()),
            Self::Words(words) => texts(words)
                .map(|words| Attachment { arguments: Some(words), ..Attachment::default() }),
        };
        attachment.map_err(|_| not_reported())
    }
}

fn not_reported() -> Failure {
    let message = "the report cannot carry a path: it is not UTF-8";
    Failure::new(Exit::Usage, message).hint("use another path, or leave --json out")
}

fn texts(words: &[Vec<u8>]) -> Result<Vec<String>, FromUtf8Error> {
    words.iter().cloned().map(String::from_utf8).collect()
}

fn lines(words: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    if words.iter().any(|word| word.contains(&b'\n')) {
        return Err(no_path("lines", "holds a newline"));
    }
    let mut lines = words.join(&b'\n');
    lines.push(b'\n');
    Ok(lines)
}

fn json_array(words: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    let words = texts(words).map_err(|_| no_path("json", "is not UTF-8"))?;
    Ok(format!("{}\n", json!(words)).into_bytes())
}

/// The failure of a path that this style has no way to write; `fault` goes on from "it".
pub(super) fn no_path(style: &str, fault: &str) -> Failure {
    Failure::new(Exit::Usage, format!("the style {style} cannot carry a path: it {fault}"))
        .hint("use --args shell, or another path")
}
