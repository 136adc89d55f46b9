//! Splits libvirt's XML into elements. It follows well-formed documents and goes
//! on in others as well as it can; entities beyond the five of XML stay as they are.

use super::word::{Text, Word, find};

/// Elements within one another that are told apart; libvirt's documents have ten.
const DEPTH_MAX: usize = 128;

/// Attributes of one element that are looked at; libvirt's elements have ten.
const ATTRIBUTES_MAX: usize = 64;

/// An element, handed on where it ends.
#[derive(Default)]
pub(super) struct Element {
    /// Its name, without a prefix such as `qemu:`.
    pub(super) name: Vec<u8>,
    pub(super) attributes: Vec<(Vec<u8>, Word)>,
    /// Its own character data.
    pub(super) text: Word,
}

impl Element {
    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &[u8]) -> Option<&Word> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }
}

/// Calls `emit` at the end of each element, with those around it, the outermost
/// first. Comments, declarations and processing instructions are left out.
pub(super) fn lex(text: Text<'_>, emit: &mut dyn FnMut(&[Element], &Element)) {
    let mut open: Vec<Element> = Vec::new();
    // Elements that are open beyond those of `open`.
    let mut beyond = 0_usize;
    let mut at = 0;
    while at < text.bytes.len() {
        let rest = text.rest(at);
        if let Some(length) = passed_over(rest) {
            at += length;
        } else if let Some(cdata) = rest.after(b"<![CDATA[") {
            let length = find(cdata.bytes, b"]]>").unwrap_or(cdata.bytes.len());
            if let Some(element) = open.last_mut() {
                for index in 0..length {
                    add_raw(&mut element.text, cdata, index);
                }
            }
            at += b"<![CDATA[".len() + length + b"]]>".len();
        } else if rest.after(b"</").is_some() {
            at += rest.find(b'>').map_or(rest.bytes.len(), |end| end + 1);
            if beyond > 0 {
                beyond -= 1;
            } else if let Some(element) = open.pop() {
                emit(&open, &element);
            }
        } else if rest.bytes.starts_with(b"<") {
            let (element, is_empty) = tag(text, &mut at);
            match (is_empty, open.len() < DEPTH_MAX) {
                (true, _) => emit(&open, &element),
                (false, true) => open.push(element),
                (false, false) => beyond += 1,
            }
        } else {
            let end = at + rest.find(b'<').unwrap_or(rest.bytes.len());
            let mut ignored = Word::default();
            let word = open.last_mut().map_or(&mut ignored, |element| &mut element.text);
            decode(text.part(at, end), word);
            at = end;
        }
    }
    // What a document without its end leaves open is judged all the same.
    while let Some(element) = open.pop() {
        emit(&open, &element);
    }
}

/// The length of a comment, declaration or processing instruction.
fn passed_over(rest: Text<'_>) -> Option<usize> {
    let (opening, closing): (&[u8], &[u8]) = match rest.bytes {
        [b'<', b'!', b'-', b'-', ..] => (b"<!--", b"-->"),
        [b'<', b'?', ..] => (b"<?", b"?>"),
        [b'<', b'!', b'[', ..] => return None,
        [b'<', b'!', ..] => (b"<!", b">"),
        _ => return None,
    };
    let body = rest.after(opening)?;
    let length = find(body.bytes, closing).map_or(body.bytes.len(), |end| end + closing.len());
    Some(opening.len() + length)
}

/// The opening tag at `at`, and whether it is an empty element's; `at` then
/// stands behind it.
fn tag(text: Text<'_>, at: &mut usize) -> (Element, bool) {
    *at += 1;
    let mut element = Element { name: name(text, at), ..Element::default() };
    let mut is_empty = false;
    while let Some(byte) = text.bytes.get(*at).copied() {
        match byte {
            b'>' => {
                *at += 1;
                break;
            }
            // An element that was never closed.
            b'<' => break,
            b'/' | b'=' => {
                is_empty = byte == b'/';
                *at += 1;
            }
            b'"' | b'\'' => {
                *at += 1;
                let rest = text.rest(*at);
                let length = rest.find(byte).unwrap_or(rest.bytes.len());
                let mut value = Word::at(rest.offset(0));
                decode(rest.part(0, length), &mut value);
                if let Some((_, word)) = element.attributes.last_mut() {
                    *word = value;
                }
                *at += length + 1;
            }
            _ if byte.is_ascii_whitespace() => *at += 1,
            _ => {
                let name = name(text, at);
                if element.attributes.len() < ATTRIBUTES_MAX {
                    element.attributes.push((name, Word::default()));
                }
            }
        }
    }
    (element, is_empty)
}

/// The name at `at`, without its prefix.
fn name(text: Text<'_>, at: &mut usize) -> Vec<u8> {
    let rest = text.bytes.get(*at..).unwrap_or_default();
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || b"=/><'\"".contains(byte);
    let length = rest.iter().position(is_end).unwrap_or(rest.len());
    *at += length;
    let name = rest.get(..length).unwrap_or_default();
    name.rsplit(|byte| *byte == b':').next().unwrap_or_default().to_vec()
}

/// Adds character data, its entities replaced.
fn decode(text: Text<'_>, word: &mut Word) {
    const ENTITIES: [(&[u8], u8); 5] =
        [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];
    let mut at = 0;
    while at < text.bytes.len() {
        let rest = text.rest(at);
        if rest.bytes.first() != Some(&b'&') {
            add_raw(word, text, at);
            at += 1;
            continue;
        }
        let entity = ENTITIES.iter().find(|(name, _)| rest.bytes.starts_with(name));
        if let Some((name, byte)) = entity {
            word.push(*byte, text.offset(at));
            at += name.len();
        } else if let Some((character, length)) = reference(rest) {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                word.push(byte, text.offset(at));
            }
            at += length;
        } else {
            add_raw(word, text, at);
            at += 1;
        }
    }
}

fn add_raw(word: &mut Word, text: Text<'_>, index: usize) {
    if let Some(byte) = text.bytes.get(index) {
        word.push(*byte, text.offset(index));
    }
}

/// A character by its number, as in `&#61;` or `&#x3d;`, and the reference's length.
fn reference(rest: Text<'_>) -> Option<(char, usize)> {
    // The longest one is `&#x10ffff;`.
    let body =
        rest.after(b"&#")?.bytes.get(..8).or_else(|| rest.after(b"&#").map(|body| body.bytes))?;
    let length = body.iter().position(|byte| *byte == b';')?;
    let digits = std::str::from_utf8(body.get(..length)?).ok()?;
    let number = match digits.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    Some((char::from_u32(number.ok()?)?, length + 3))
}
