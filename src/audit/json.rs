//! Finds the strings of a JSON text, with their places: arrays of arguments, and
//! objects such as `-object` and `-blockdev` take.

use super::word::{Text, Word, Words};

/// Most members of one object that are judged together.
const MEMBERS_MAX: usize = 2048;

/// What the lexer finds.
pub(super) enum Event<'a> {
    /// The strings of an array, or one that stands alone.
    Array(&'a [Word]),
    /// The members of an object whose values are strings, key and value: first its own,
    /// then some of an object within it, which were handed on before.
    Object { members: &'a [(Word, Word)], own: usize },
}

/// Whether the text is JSON: an array or an object, nested at most 127 deep, or
/// several of them, as a transcript of QMP or `journalctl -o json` has.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    let is_compound = matches!(bytes.trim_ascii_start().first(), Some(b'[' | b'{'));
    let mut values =
        serde_json::Deserializer::from_slice(bytes).into_iter::<serde::de::IgnoredAny>();
    is_compound && values.all(|value| value.is_ok())
}

/// Calls `emit` for every array and object of a text that [`is_json`].
pub(super) fn lex(text: Text<'_>, emit: &mut dyn FnMut(Event<'_>)) {
    let mut open: Vec<Container> = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.bytes.get(at) {
        match byte {
            b'[' => open.push(Container::Array(Words::default())),
            b'{' => open.push(Container::Object(Object::default())),
            b']' | b'}' => {
                let ended = end(open.pop(), emit);
                if let (Some(object), Some(Container::Object(around))) = (ended, open.last_mut()) {
                    hand_up(object, around);
                }
            }
            b'"' => {
                let word = string(text, &mut at);
                if let Some(container) = open.last_mut() {
                    container.add(word, emit);
                }
                continue;
            }
            // The value is no string: its key is dropped.
            b',' => {
                if let Some(Container::Object(object)) = open.last_mut() {
                    object.key = None;
                }
            }
            _ => {}
        }
        at += 1;
    }
}

enum Container {
    Array(Words),
    Object(Object),
}

#[derive(Default)]
struct Object {
    /// A key that waits for its value.
    key: Option<Word>,
    members: Vec<(Word, Word)>,
    /// Members that were handed up from an object inside this one.
    below: Vec<(Word, Word)>,
}

impl Container {
    fn add(&mut self, word: Word, emit: &mut dyn FnMut(Event<'_>)) {
        match self {
            Self::Array(words) => words.push(word, |words| emit(Event::Array(words))),
            Self::Object(object) => match object.key.take() {
                None => object.key = Some(word),
                Some(key) => {
                    object.members.push((key, word));
                    if object.members.len() >= MEMBERS_MAX {
                        let own = object.members.len();
                        emit(Event::Object { members: &object.members, own });
                        object.members.clear();
                    }
                }
            },
        }
    }
}

/// Emits the array or object that ends here; returns an object with its own members alone.
fn end(container: Option<Container>, emit: &mut dyn FnMut(Event<'_>)) -> Option<Object> {
    match container? {
        Container::Array(words) => {
            emit(Event::Array(words.as_slice()));
            None
        }
        Container::Object(mut object) => {
            let own = object.members.len();
            object.members.append(&mut object.below);
            emit(Event::Object { members: &object.members, own });
            object.members.truncate(own);
            Some(object)
        }
    }
}

/// QMP's `arguments` say what the command around them does, and QEMU before 6.0
/// wraps an object's properties in `props`: both are judged with what is around them.
fn hand_up(object: Object, around: &mut Object) {
    let is_part = |key: &Word| matches!(key.bytes(), b"props" | b"arguments");
    if around.key.as_ref().is_some_and(is_part) {
        let left = MEMBERS_MAX - around.below.len();
        around.below.extend(object.members.into_iter().take(left));
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

/// The character of four hexadecimal digits. Half of a surrogate pair becomes the replacement
/// character.
fn unicode(digits: &[u8]) -> char {
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    let number = u32::from_str_radix(digits, 16).ok();
    number.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}
