//! Keys: what of a name its identifier holds, in the characters that ISO 9660 or Joliet has,
//! and with a number where two names of a directory would have one key.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::loss::Lost;

/// Longest name and extension of a file, or identifier of a directory less one
/// byte (ECMA-119 7.5.1, 7.6.3), in bytes.
pub(super) const PRIMARY_MAX: usize = 30;
/// Longest name and extension of a file, or identifier of a directory, in characters of
/// Joliet, which are two bytes of 128 ("Joliet File Identifiers", "Directory Identifiers").
/// The dot between name and extension is not counted, nor is the version.
pub(super) const JOLIET_MAX: usize = 64;
pub(super) const JOLIET_DOT: u16 = b'.' as u16;
/// Longest extension that is kept whole.
const EXTENSION_MAX: usize = 8;
/// Room for an underscore and the number that tells names apart.
const NUMBER_MAX: usize = 9;

/// A name in two parts, each of characters that the alphabet has.
pub(super) struct Parts<C> {
    stem: Vec<C>,
    extension: Vec<C>,
}

impl Parts<u8> {
    pub(super) fn primary(name: &[u8], is_directory: bool) -> Self {
        let (stem, extension) = split(name, b'.', is_directory);
        Self {
            stem: stem.iter().copied().map(d_character).collect(),
            extension: extension.iter().copied().map(d_character).collect(),
        }
    }
}

impl Parts<u16> {
    pub(super) fn joliet(name: &[u8], is_directory: bool) -> Self {
        let text = String::from_utf8_lossy(name).replace(char::REPLACEMENT_CHARACTER, "_");
        let unit = |character| joliet_unit(character).unwrap_or(u16::from(b'_'));
        let units: Vec<u16> = text.chars().map(unit).collect();
        let (stem, extension) = split(&units, JOLIET_DOT, is_directory);
        Self { stem: stem.to_vec(), extension: extension.to_vec() }
    }
}

/// Appends the key of a name in the primary tree, without a number: what [`Keys::make`] gives the
/// first of the names that would have this key.
pub(super) fn append_primary(name: &[u8], is_directory: bool, key: &mut Vec<u8>) {
    let (stem, extension) = split(name, b'.', is_directory);
    key.extend(stem.iter().take(PRIMARY_MAX - extension.len()).copied().map(d_character));
    if !extension.is_empty() {
        key.push(b'.');
        key.extend(extension.iter().copied().map(d_character));
    }
}

fn d_character(byte: u8) -> u8 {
    match byte.to_ascii_uppercase() {
        letter @ (b'A'..=b'Z' | b'0'..=b'9') => letter,
        _ => b'_',
    }
}

/// What Joliet does not hold of a name.
pub(super) fn lost_in_joliet(name: &[u8], is_directory: bool) -> Option<Lost> {
    joliet_units(name, is_directory, |_| ()).err()
}

/// Gives `take` the characters of a name that Joliet holds as it is; an error, perhaps after
/// some of them, where it does not.
pub(super) fn joliet_units(
    name: &[u8],
    is_directory: bool,
    mut take: impl FnMut(u16),
) -> Result<(), Lost> {
    let text = str::from_utf8(name).map_err(|_| Lost::JolietCharacter)?;
    let mut count = 0;
    for character in text.chars() {
        take(joliet_unit(character).ok_or(Lost::JolietCharacter)?);
        count += 1;
    }
    // Linux and Windows show a name without the dots at its end (`get_joliet_filename`).
    if name.ends_with(b".") {
        return Err(Lost::JolietCharacter);
    }
    let has_extension = !is_directory && name.contains(&b'.');
    if count - usize::from(has_extension) > JOLIET_MAX {
        return Err(Lost::JolietLength);
    }
    Ok(())
}

/// A character of Joliet: neither a control character nor `*`, `/`, `:`, `;`, `?` or `\`,
/// nor what takes more than one unit of UCS-2 ("Joliet Directory Identifiers").
fn joliet_unit(character: char) -> Option<u16> {
    let unit = u16::try_from(u32::from(character)).ok()?;
    let is_refused = matches!(character, '*' | '/' | ':' | ';' | '?' | '\\' | '\u{7f}');
    (unit >= 0x20 && !is_refused).then_some(unit)
}

/// Cuts a file's name at its last dot, unless that is at the start or has much
/// or nothing behind it.
fn split<C: Copy + PartialEq>(name: &[C], dot: C, is_directory: bool) -> (&[C], &[C]) {
    let last = name.iter().rposition(|character| *character == dot);
    let parts = last.and_then(|last| Some((name.get(..last)?, name.get(last + 1..)?)));
    match parts {
        Some((stem, extension))
            if !is_directory
                && !stem.is_empty()
                && (1..=EXTENSION_MAX).contains(&extension.len()) =>
        {
            (stem, extension)
        }
        _ => (name, &[]),
    }
}

/// Hands out keys, each once.
pub(super) struct Keys<C> {
    max: usize,
    underscore: C,
    dot: C,
    taken: HashSet<Vec<C>>,
    /// The last number by what stands around it. It belongs to the shortened stem,
    /// not to the name: else names that are cut alike would each count from one.
    numbers: HashMap<Vec<C>, u32>,
}

impl<C: Copy + Eq + Hash + From<u8>> Keys<C> {
    pub(super) fn new(max: usize, underscore: C, dot: C) -> Self {
        Self { max, underscore, dot, taken: HashSet::new(), numbers: HashMap::new() }
    }

    /// The name itself, which is fit to be a key and nobody else's.
    pub(super) fn take(&mut self, name: Vec<C>) -> Vec<C> {
        self.taken.insert(name.clone());
        name
    }

    /// The name itself where it is short enough and not taken, else one with a number.
    pub(super) fn make(&mut self, parts: Parts<C>) -> Vec<C> {
        let Parts { mut stem, extension } = parts;
        stem.truncate(self.max - extension.len());
        if extension.is_empty() {
            // No name ends in dots: some readers do not show them.
            for end in stem.iter_mut().rev().take_while(|end| **end == self.dot) {
                *end = self.underscore;
            }
        }
        let plain = self.join(&stem, &extension);
        if self.taken.insert(plain.clone()) {
            return plain;
        }
        stem.truncate(self.max - extension.len() - NUMBER_MAX);
        stem.push(self.underscore);
        loop {
            let number = self.numbers.entry(self.join(&stem, &extension)).or_default();
            *number += 1;
            let digits = number.to_string();
            let numbered: Vec<C> =
                stem.iter().copied().chain(digits.bytes().map(C::from)).collect();
            let key = self.join(&numbered, &extension);
            if self.taken.insert(key.clone()) {
                return key;
            }
        }
    }

    fn join(&self, stem: &[C], extension: &[C]) -> Vec<C> {
        let mut key = stem.to_vec();
        if !extension.is_empty() {
            key.push(self.dot);
            key.extend(extension);
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joliet_s_limit_is_on_name_and_extension() {
        let lost = |name: &str, is_directory| lost_in_joliet(name.as_bytes(), is_directory);
        let of = |length| "n".repeat(length);
        for held in [of(64), format!("{}.{}", of(60), of(4)), format!(".{}", of(64))] {
            assert_eq!(lost(&held, false), None, "{held}");
            let longer = format!("n{held}");
            assert_eq!(lost(&longer, false), Some(Lost::JolietLength), "{longer}");
        }
        // An extension of any length, and dots in the name, which count.
        assert_eq!(lost(&format!("{}.{}", of(2), of(62)), false), None);
        assert_eq!(lost(&format!("a.{}.{}", of(60), of(2)), false), None);
        assert_eq!(lost(&format!("a.{}.{}", of(60), of(3)), false), Some(Lost::JolietLength));
        // A directory has no extension.
        assert_eq!(lost(&of(64), true), None);
        assert_eq!(lost(&format!("{}.{}", of(60), of(4)), true), Some(Lost::JolietLength));
        // Two bytes and three are one character.
        assert_eq!(lost(&"\u{e4}\u{20ac}".repeat(32), false), None);
        assert_eq!(lost(&"\u{e4}".repeat(65), false), Some(Lost::JolietLength));
        for character in ["*", ":", ";", "?", "\\", "\n", "\u{7f}", "\u{1f511}"] {
            assert_eq!(lost(character, false), Some(Lost::JolietCharacter), "{character:?}");
            assert_eq!(lost(character, true), Some(Lost::JolietCharacter), "{character:?}");
        }
        assert_eq!(lost_in_joliet(b"\xff", false), Some(Lost::JolietCharacter));
        for end in ["a.", "...", "a.b.."] {
            assert_eq!([true, false].map(|it| lost(end, it)), [Some(Lost::JolietCharacter); 2]);
        }
    }
}
