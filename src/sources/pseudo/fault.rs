//! What is wrong with one definition's text.

use std::borrow::Cow;

use crate::report::{Position, Problem};

/// The 1-based column of a byte of `text`, in characters; bytes that are not
/// UTF-8 count one each, or none where they look like the rest of a character.
pub(super) fn column(text: &[u8], offset: usize) -> u64 {
    let before = text.get(..offset).unwrap_or(text);
    before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64 + 1
}

/// What is wrong with one definition's text, before its place is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where in the text, in bytes.
    pub(super) offset: usize,
    /// Lower case, without a full stop, and never with anything of the text itself.
    pub(super) message: Cow<'static, str>,
    /// How to mend it.
    pub(super) hint: Option<&'static str>,
}

impl Fault {
    pub(super) fn new(offset: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self { offset, message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// The fault of what stands at `position`.
    pub(super) fn at(self, position: Position) -> Problem {
        let (message, hint) = (self.message.into_owned(), self.hint.map(str::to_owned));
        Problem { position: Some(position), message, hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a\u{20ac}b".as_bytes();
        assert_eq!((column(text, 0), column(text, 1), column(text, 4)), (1, 2, 3));
        assert_eq!(column(text, 99), 4);
        assert_eq!(column(b"\xff\xffa", 2), 3);
    }
}
