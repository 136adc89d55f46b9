//! Finds the strings of a JSON text, with their places: arrays of arguments, and
//! objects such as `-object` and `-blockdev` take.

use super::word::{Text, Word, Words};

/// Members of one object that are judged together.
const MEMBERS_MAX: usize = 4096;

/// What the lexer finds.
pub(super) enum Event<'a> {
    /// The strings of an array, or one that stands alone.
    Array(&'a [Word]),
    /// The members of an object whose values are strings: key and value.
    Object(&'a [(Word, Word)]),
}

/// Whether the text is one JSON value, an array or an object, nested at most 127 deep.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    let is_compound = matches!(bytes.trim_ascii_start().first(), Some(b'[' | b'{'));
    is_compound && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// Calls `emit` for every array and object of a text that [`is_json`].
pub(super) fn lex(text: Text<'_>, emit: &mut dyn FnMut(Event<'_>)) {
    let mut open: Vec<Container> = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.bytes.get(at) {
        match byte {
            b'[' => open.push(Container::Array(Words::default())),
            b'{' => open.push(Container::Object(None, Vec::new())),
            b']' | b'}' => {
                if let Some(container) = open.pop() {
                    container.end(emit);
                }
            }
            b'"' => {
                let word = string(text, &mut at);
                if let Some(container) = open.last_mut() {
                    container.add(word, emit);
                }
                continue;
            }
            // A key whose value is no string waits no longer.
            b',' => {
                if let Some(Container::Object(key, _)) = open.last_mut() {
                    *key = None;
                }
            }
            _ => {}
        }
        at += 1;
    }
}

enum Container {
    Array(Words),
    Object(Option<Word>, Vec<(Word, Word)>),
}

impl Container {
    fn add(&mut self, word: Word, emit: &mut dyn FnMut(Event<'_>)) {
        match self {
            Self::Array(words) => words.push(word, |words| emit(Event::Array(words))),
            Self::Object(key, members) => match key.take() {
                None => *key = Some(word),
                Some(key) => {
                    members.push((key, word));
                    if members.len() >= MEMBERS_MAX {
                        emit(Event::Object(members));
                        members.clear();
                    }
                }
            },
        }
    }

    fn end(self, emit: &mut dyn FnMut(Event<'_>)) {
        match self {
            Self::Array(words) => emit(Event::Array(words.as_slice())),
            Self::Object(_, members) => emit(Event::Object(&members)),
        }
    }
}

/// The string that begins at `at`; `at` then stands behind it.
fn string(text: Text<'_>, at: &mut usize) -> Word {
    *at += 1;
    let mut word = Word::at(text.offset(*at));
    while let Some(byte) = text.bytes.get(*at).copied() {
        let offset = text.offset(*at);
        *at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                let escaped = text.bytes.get(*at).copied().unwrap_or_default();
                *at += 1;
                let character = match escaped {
                    b'n' => '\n',
                    b't' => '\t',
                    b'r' => '\r',
                    b'b' | b'f' => ' ',
                    b'u' => {
                        let digits = text.part(*at, *at + 4);
                        *at += digits.bytes.len();
                        unicode(digits.bytes)
                    }
                    _ => char::from(escaped),
                };
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    word.push(byte, offset);
                }
            }
            _ => word.push(byte, offset),
        }
    }
    word
}

/// The character of four hexadecimal digits; halves of a pair are of no interest.
fn unicode(digits: &[u8]) -> char {
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    let number = u32::from_str_radix(digits, 16).ok();
    number.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}
