//! `{machine}` and `{vars.NAME}` in texts, and what stands in their place.

use zeroize::Zeroizing;

use super::super::error::Fault;
use super::super::mapping::At;
use super::super::node::{MANIFEST_MAX_BYTES, Text};
use crate::report::{Failure, Position, Problem};

const HINT: &str = "`{machine}` and `{vars.NAME}` are replaced; `{{` and `}}` stand for braces";

/// A piece of a text.
pub(super) enum Piece<'t> {
    Literal(&'t str),
    Machine,
    Variable(&'t str),
}

/// A wrong placeholder: at which byte it begins, and what is wrong.
pub(super) struct Wrong {
    offset: usize,
    fault: Fault,
}

impl Wrong {
    /// The failure of an option whose value has this placeholder.
    pub(super) fn of_option(self, option: &str) -> Failure {
        self.fault.in_option(option)
    }

    /// The problem of `text`, which has this placeholder and is at `at` in the manifest.
    pub(super) fn of(self, text: &str, at: &Position) -> Problem {
        let before = text.get(..self.offset).unwrap_or_default();
        let text_column = Some(before.chars().count() as u64 + 1);
        self.fault.at(&Position { text_column, ..at.clone() })
    }
}

/// Gives the pieces of `text` to `take` one by one.
pub(super) fn pieces<'t>(
    text: &'t str,
    mut take: impl FnMut(Piece<'t>) -> Result<(), Fault>,
) -> Result<(), Wrong> {
    let mut offset = 0;
    while let Some(left) = text.get(offset..).filter(|left| !left.is_empty()) {
        let wrong = |fault| Wrong { offset, fault };
        let (piece, length) = match left.find(['{', '}']) {
            None => (Piece::Literal(left), left.len()),
            Some(length @ 1..) => (Piece::Literal(left.get(..length).unwrap_or_default()), length),
            Some(0) if left.starts_with("{{") || left.starts_with("}}") => {
                (Piece::Literal(left.get(..1).unwrap_or_default()), 2)
            }
            Some(0) => placeholder(left).map_err(wrong)?,
        };
        take(piece).map_err(wrong)?;
        offset += length;
    }
    Ok(())
}

/// The placeholder that `text` begins with, and its length.
fn placeholder(text: &str) -> Result<(Piece<'_>, usize), Fault> {
    let end = text.find('}');
    let inner = text.strip_prefix('{').zip(end).and_then(|(_, end)| text.get(1..end));
    let length = inner.map_or(0, |inner| inner.len() + 2);
    match inner {
        None if text.starts_with('{') => Err(Fault::new("a `{` that nothing closes").hint(HINT)),
        None => Err(Fault::new("a `}` that closes nothing").hint(HINT)),
        Some("machine") => Ok((Piece::Machine, length)),
        Some(inner) => match inner.strip_prefix("vars.") {
            Some(name) if is_variable(name) => Ok((Piece::Variable(name), length)),
            Some(_) => Err(Fault::new("expected a variable's name behind `vars.`")
                .hint("letters of lower case, digits and `_`, of which the first is a letter")),
            None => Err(Fault::new("an unknown placeholder").hint(HINT)),
        },
    }
}

/// Whether a variable of a machine may have this name.
pub(super) fn is_variable(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(is_plain)
}

/// The values of placeholders for one machine.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) machine: &'a str,
    /// The machine's variables. None before there are machines: then every variable exists, and is
    /// empty.
    pub(super) variables: Option<&'a [(String, Text)]>,
}

impl<'a> Values<'a> {
    /// Values that only serve to check whether placeholders are well formed.
    pub(super) const ANY: Self = Self { machine: "", variables: None };

    /// The text with its placeholders replaced.
    pub(super) fn replace(&self, typed: &At<Text>) -> Result<At<Text>, Problem> {
        let value = self.text(&typed.value).map_err(|wrong| wrong.of(&typed.value, &typed.at))?;
        Ok(At { value, at: typed.at.clone() })
    }

    /// The text with its placeholders replaced.
    pub(super) fn text(&self, text: &str) -> Result<Text, Wrong> {
        self.text_of(text, |_| Ok(()))
    }

    /// The text with its placeholders replaced; `require_fit` refuses values that do not fit there.
    pub(super) fn text_of(
        &self,
        text: &str,
        require_fit: impl Fn(&str) -> Result<(), Fault>,
    ) -> Result<Text, Wrong> {
        if !text.bytes().any(|byte| matches!(byte, b'{' | b'}')) {
            return Ok(Zeroizing::new(text.to_owned()));
        }
        let mut replaced = Zeroizing::new(String::with_capacity(text.len()));
        pieces(text, |piece| {
            replaced.push_str(match piece {
                Piece::Literal(text) => text,
                Piece::Machine => self.machine,
                Piece::Variable(name) => {
                    let value = self.variable(name)?;
                    require_fit(value)?;
                    value
                }
            });
            // A single text may not get longer than a manifest.
            if replaced.len() > MANIFEST_MAX_BYTES {
                return Err(too_large());
            }
            Ok(())
        })?;
        Ok(replaced)
    }

    /// The value of a variable.
    fn variable(&self, name: &str) -> Result<&'a str, Fault> {
        let Some(variables) = self.variables else { return Ok("") };
        let found = variables.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| {
            Fault::new("no variable has this name").hint("`vars` of a machine gives it one")
        })
    }
}

/// The fault of a manifest that gets too large by the values of its placeholders.
pub(super) fn too_large() -> Fault {
    Fault::new(format!("with placeholders replaced it is larger than {MANIFEST_MAX_BYTES} bytes"))
}
