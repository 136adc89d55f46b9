//! File and directory identifiers: names as ISO 9660 and Joliet allow them, made
//! different where they would be alike. Rock Ridge carries the names themselves.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::loss::Lost;
use crate::tree::{InodeId, Name, Tree};

/// Longest name and extension of a file, or identifier of a directory less one
/// byte (ECMA-119 7.5.1, 7.6.3), in bytes.
const PRIMARY_MAX: usize = 30;
/// Longest name and extension of a file, or identifier of a directory, in characters of
/// Joliet, which are two bytes of 128 ("Joliet File Identifiers", "Directory Identifiers").
/// The dot between name and extension is not counted, nor is the version.
pub(super) const JOLIET_MAX: usize = 64;
const JOLIET_DOT: u16 = b'.' as u16;
/// Longest extension that is kept whole.
const EXTENSION_MAX: usize = 8;
/// Room for an underscore and the number that tells names apart.
const NUMBER_MAX: usize = 9;

/// An entry of a directory with its identifier.
#[derive(Debug)]
pub(super) struct Entry<'t> {
    pub(super) name: &'t Name,
    pub(super) id: InodeId,
    pub(super) is_directory: bool,
    /// What the entry is sorted by: the identifier without dot at its end and
    /// version, of one byte a character in the primary tree, of two in Joliet's.
    key: Box<[u8]>,
}

/// In whose names identifiers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// d-characters: `A` to `Z`, `0` to `9` and `_` (7.4.1), and a dot.
    Primary,
    /// UCS-2, big endian.
    Joliet,
}

impl Alphabet {
    /// The identifier of the volume's root: the only one of a single zero.
    pub(super) const ROOT: [u8; 1] = [0];

    /// Gives each entry its identifier; returns them in the order of their
    /// records (9.3). `entries` must come in the order of their names.
    pub(super) fn assign<'t>(
        self,
        entries: impl Iterator<Item = (&'t Name, InodeId, bool)>,
    ) -> Vec<Entry<'t>> {
        let mut named: Vec<Entry<'_>> = match self {
            Self::Primary => {
                let mut keys = Keys::new(PRIMARY_MAX, b'_', b'.');
                let entry = |(name, id, is_directory): (&'t Name, _, _)| {
                    let key = keys.make(Parts::primary(name.as_bytes(), is_directory));
                    Entry { name, id, is_directory, key: key.into() }
                };
                entries.map(entry).collect()
            }
            Self::Joliet => {
                let mut keys = Keys::new(JOLIET_MAX, u16::from(b'_'), JOLIET_DOT);
                // A name that is held as it is comes first: no other one takes its place.
                let units = |(name, id, is_directory): (&'t Name, _, _)| {
                    (name, id, is_directory, joliet_units(name.as_bytes(), is_directory))
                };
                let (held, mangled): (Vec<_>, Vec<_>) =
                    entries.map(units).partition(|(.., units)| units.is_ok());
                let entry = |(name, id, is_directory, units): (&'t Name, _, _, Result<_, _>)| {
                    let key = match units {
                        Ok(units) => keys.take(units),
                        Err(_) => keys.make(Parts::joliet(name.as_bytes(), is_directory)),
                    };
                    let key = key.iter().flat_map(|unit| unit.to_be_bytes()).collect();
                    Entry { name, id, is_directory, key }
                };
                held.into_iter().chain(mangled).map(entry).collect()
            }
        };
        named.sort_unstable_by(|left, right| self.order(&left.key).cmp(self.order(&right.key)));
        named
    }

    /// What a key is sorted by, unit by unit: the dot ends the name, so it comes
    /// before whatever a longer name goes on with, as the space does that shorter
    /// names are filled with (9.3). No d-character comes before it anyway.
    fn order(self, key: &[u8]) -> impl Iterator<Item = [u8; 2]> {
        let unit_bytes = if self == Self::Joliet { 2 } else { 1 };
        key.chunks(unit_bytes).map(|unit| match unit {
            [0, b'.'] => [0, 0],
            [high, low] => [*high, *low],
            [low] => [0, *low],
            _ => [0, 0],
        })
    }

    /// The bytes of one character.
    fn append(self, text: &[u8], identifier: &mut Vec<u8>) {
        for byte in text {
            if self == Self::Joliet {
                identifier.push(0);
            }
            identifier.push(*byte);
        }
    }
}

impl Entry<'_> {
    /// Appends the identifier: of a file with dot and version (7.5.1).
    pub(super) fn append(&self, alphabet: Alphabet, identifier: &mut Vec<u8>) {
        identifier.extend(&*self.key);
        if self.is_directory {
            return;
        }
        let has_dot = match alphabet {
            Alphabet::Primary => self.key.contains(&b'.'),
            // Joliet, as everybody writes it, needs no dot.
            Alphabet::Joliet => true,
        };
        alphabet.append(if has_dot { b";1" } else { b".;1" }, identifier);
    }
}

/// The identifiers of entries in the order of their names, each with whether it is a
/// directory's; returned in the order of their records.
pub(crate) fn identifiers(names: &[(Name, bool)], is_joliet: bool) -> Vec<Vec<u8>> {
    let alphabet = if is_joliet { Alphabet::Joliet } else { Alphabet::Primary };
    let entries = names.iter().map(|(name, is_directory)| (name, Tree::ROOT, *is_directory));
    let identifier = |entry: &Entry<'_>| {
        let mut identifier = Vec::new();
        entry.append(alphabet, &mut identifier);
        identifier
    };
    alphabet.assign(entries).iter().map(identifier).collect()
}

/// A name in two parts, each of characters that the alphabet has.
struct Parts<C> {
    stem: Vec<C>,
    extension: Vec<C>,
}

impl Parts<u8> {
    fn primary(name: &[u8], is_directory: bool) -> Self {
        let (stem, extension) = split(name, b'.', is_directory);
        let character = |byte: &u8| match byte.to_ascii_uppercase() {
            letter @ (b'A'..=b'Z' | b'0'..=b'9') => letter,
            _ => b'_',
        };
        Self {
            stem: stem.iter().map(character).collect(),
            extension: extension.iter().map(character).collect(),
        }
    }
}

impl Parts<u16> {
    fn joliet(name: &[u8], is_directory: bool) -> Self {
        let text = String::from_utf8_lossy(name).replace(char::REPLACEMENT_CHARACTER, "_");
        let unit = |character| joliet_unit(character).unwrap_or(u16::from(b'_'));
        let units: Vec<u16> = text.chars().map(unit).collect();
        let (stem, extension) = split(&units, JOLIET_DOT, is_directory);
        Self { stem: stem.to_vec(), extension: extension.to_vec() }
    }
}

/// What Joliet does not hold of a name.
pub(super) fn lost_in_joliet(name: &[u8], is_directory: bool) -> Option<Lost> {
    joliet_units(name, is_directory).err()
}

/// The characters of a name that Joliet holds as it is.
fn joliet_units(name: &[u8], is_directory: bool) -> Result<Vec<u16>, Lost> {
    let text = str::from_utf8(name).map_err(|_| Lost::JolietCharacter)?;
    let units: Option<Vec<u16>> = text.chars().map(joliet_unit).collect();
    // Linux and Windows show a name without the dots at its end (`get_joliet_filename`).
    let units = units.filter(|units| !units.ends_with(&[JOLIET_DOT]));
    let units = units.ok_or(Lost::JolietCharacter)?;
    let has_extension = !is_directory && units.contains(&JOLIET_DOT);
    if units.len() - usize::from(has_extension) > JOLIET_MAX {
        return Err(Lost::JolietLength);
    }
    Ok(units)
}

/// A character of Joliet: neither a control character nor `*`, `/`, `:`, `;`, `?` or `\`,
/// nor what takes more than one unit of UCS-2 ("Joliet Directory Identifiers").
fn joliet_unit(character: char) -> Option<u16> {
    let unit = u16::try_from(u32::from(character)).ok()?;
    (unit >= 0x20 && !"*/:;?\\\u{7f}".contains(character)).then_some(unit)
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
struct Keys<C> {
    max: usize,
    underscore: C,
    dot: C,
    taken: HashSet<Vec<C>>,
    /// The last number by what stands around it. It belongs to the shortened stem,
    /// not to the name: else names that are cut alike would each count from one.
    numbers: HashMap<Vec<C>, u32>,
}

impl<C: Copy + Eq + Hash + From<u8>> Keys<C> {
    fn new(max: usize, underscore: C, dot: C) -> Self {
        Self { max, underscore, dot, taken: HashSet::new(), numbers: HashMap::new() }
    }

    /// The name itself, which is fit to be a key and nobody else's.
    fn take(&mut self, name: Vec<C>) -> Vec<C> {
        self.taken.insert(name.clone());
        name
    }

    /// The name itself where it is short enough and not taken, else one with a number.
    fn make(&mut self, parts: Parts<C>) -> Vec<C> {
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
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::tree::Tree;

    /// The identifiers of `names`, a slash at the end for a directory, in record order.
    fn assigned(alphabet: Alphabet, names: &[&[u8]]) -> Vec<(String, String)> {
        let mut names: Vec<(Name, bool)> = names
            .iter()
            .map(|name| match name.strip_suffix(b"/") {
                Some(name) => (Name::new(name).unwrap(), true),
                None => (Name::new(name).unwrap(), false),
            })
            .collect();
        names.sort();
        let entries = names.iter().map(|(name, is_directory)| (name, Tree::ROOT, *is_directory));
        let shown = |entry: &Entry<'_>| {
            let mut identifier = Vec::new();
            entry.append(alphabet, &mut identifier);
            let name = entry.name.as_bytes().escape_ascii().to_string();
            (name, identifier.escape_ascii().to_string().replace("\\x00", ""))
        };
        alphabet.assign(entries).iter().map(shown).collect()
    }

    fn check(alphabet: Alphabet, names: &[&[u8]], expected: &[(&str, &str)]) {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect();
        assert_eq!(assigned(alphabet, names), expected);
    }

    #[test]
    fn names_become_d_characters_with_version() {
        check(
            Alphabet::Primary,
            &[
                b"key",
                b"dir.d/",
                b"a.txt",
                b".bashrc",
                b"a.b.c",
                b"end.",
                b"id_ed25519.pub",
                b"h\xc3\xa4",
            ],
            &[
                ("a.txt", "A.TXT;1"),
                ("a.b.c", "A_B.C;1"),
                ("dir.d", "DIR_D"),
                ("end.", "END_.;1"),
                ("h\\xc3\\xa4", "H__.;1"),
                ("id_ed25519.pub", "ID_ED25519.PUB;1"),
                ("key", "KEY.;1"),
                (".bashrc", "_BASHRC.;1"),
            ],
        );
    }

    #[test]
    fn names_that_mangle_alike_get_numbers_in_their_order() {
        check(
            Alphabet::Primary,
            &[b"key", b"KEY", b"Key/", b"k+y", b"k-y", b"KEY_1", b"a.x", b"A.x"],
            &[
                ("A.x", "A.X;1"),
                ("a.x", "A_1.X;1"),
                ("KEY", "KEY.;1"),
                ("KEY_1", "KEY_1.;1"),
                ("Key", "KEY_2"),
                ("key", "KEY_3.;1"),
                ("k+y", "K_Y.;1"),
                ("k-y", "K_Y_1.;1"),
            ],
        );
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let long = |end: &str| format!("{}{end}", "x".repeat(250));
        let (one, two, text) = (long("1"), long("2"), long(".text"));
        let names = [one.as_bytes(), two.as_bytes(), text.as_bytes()];
        let cut = "X".repeat(30);
        let identifiers: Vec<String> =
            assigned(Alphabet::Primary, &names).into_iter().map(|(_, id)| id).collect();
        let expected = [
            format!("{}.TEXT;1", "X".repeat(26)),
            format!("{cut}.;1"),
            format!("{}_1.;1", "X".repeat(21)),
        ];
        let mut expected = expected.to_vec();
        expected.sort();
        let mut identifiers = identifiers;
        identifiers.sort();
        assert_eq!(identifiers, expected);
    }

    #[test]
    fn joliet_keeps_what_ucs_2_has() {
        check(
            Alphabet::Joliet,
            &[
                b"Key.txt",
                b"key.txt",
                b"a:b",
                b"a?b",
                b"a_b",
                b"bad\xff",
                b"dir.d/",
                "\u{1f511}".as_bytes(),
                "h\u{fffd}".as_bytes(),
                b"end..",
                b"end/",
                b"....",
            ],
            &[
                ("Key.txt", "Key.txt;1"),
                ("\\xf0\\x9f\\x94\\x91", "_;1"),
                ("....", "____;1"),
                // What is held as it is stays so.
                ("a_b", "a_b;1"),
                ("a:b", "a_b_1;1"),
                ("a?b", "a_b_2;1"),
                ("bad\\xff", "bad_;1"),
                ("dir.d", "dir.d"),
                ("end", "end"),
                ("end..", "end__;1"),
                ("h\\xef\\xbf\\xbd", "h\\xff\\xfd;1"),
                ("key.txt", "key.txt;1"),
            ],
        );
    }

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

    #[test]
    fn many_names_that_are_cut_alike_are_quick_and_different() {
        let names: Vec<Vec<u8>> =
            (0..60_000).map(|n| format!("{}{n:05}", "y".repeat(21)).into_bytes()).collect();
        // Two of each: the second has to get a number.
        let upper: Vec<Vec<u8>> = names.iter().map(|name| name.to_ascii_uppercase()).collect();
        let all: Vec<&[u8]> = names.iter().chain(&upper).map(Vec::as_slice).collect();
        let mut identifiers: Vec<String> =
            assigned(Alphabet::Primary, &all).into_iter().map(|(_, id)| id).collect();
        identifiers.sort();
        identifiers.dedup();
        assert_eq!(identifiers.len(), 120_000);
    }
}
