//! `{machine}` and `{vars.NAME}` in texts, and what stands in their place.

use zeroize::Zeroizing;

use super::super::error::Fault;
use super::super::mapping::At;
use super::super::node::Text;
use crate::report::{Failure, Position, Problem};

const HINT: &str = "`{machine}` and `{vars.NAME}` are replaced; `{{` and `}}` stand for braces";

/// A piece of a text.
pub(super) enum Piece<'t> {
    Literal(&'t str),
    Machine,
    Variable(&'t str),
}

/// A wrong placeholder: the byte at which it begins, and what is wrong.
pub(super) struct Wrong {
    offset: usize,
    fault: Fault,
}

impl Wrong {
    /// What is wrong with the value of `option`.
    pub(super) fn of_option(self, option: &str) -> Failure {
        self.fault.in_option(option)
    }

    /// What is wrong with `text`, which stands at `at`.
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

/// What stands in the place of placeholders, for one machine.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) machine: &'a str,
    pub(super) variables: &'a [(String, Text)],
}

impl<'a> Values<'a> {
    /// The value of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<&'a Text> {
        self.variables.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The text with its placeholders replaced.
    pub(super) fn replace(&self, typed: &At<Text>) -> Result<At<Text>, Problem> {
        let value = self.text(&typed.value).map_err(|wrong| wrong.of(&typed.value, &typed.at))?;
        Ok(At { value, at: typed.at.clone() })
    }

    /// The text with its placeholders replaced.
    pub(super) fn text(&self, text: &str) -> Result<Text, Wrong> {
        let mut replaced = Zeroizing::new(String::with_capacity(text.len()));
        pieces(text, |piece| {
            replaced.push_str(match piece {
                Piece::Literal(text) => text,
                Piece::Machine => self.machine,
                Piece::Variable(name) => self.variable(name).ok_or_else(|| {
                    let machine = self.machine;
                    let message = format!("the machine {machine} has no variable of this name");
                    Fault::new(message).hint("give it in `vars` of that machine")
                })?,
            });
            Ok(())
        })?;
        Ok(replaced)
    }
}
