//! File and directory identifiers: names as ISO 9660 and Joliet allow them, made
//! different where they would be alike. Rock Ridge carries the names themselves.

use super::keys::{JOLIET_DOT, JOLIET_MAX, Keys, PRIMARY_MAX, Parts, append_primary, joliet_units};
use crate::error::{Result, inconsistent};
use crate::tree::{InodeId, Name, Tree};

/// The entries of a directory with their identifiers, in the order of their records (9.3).
#[derive(Debug)]
pub(super) struct Listing<'t> {
    alphabet: Alphabet,
    entries: Vec<Entry<'t>>,
    /// The keys of all entries, one behind the other: there may be very many entries.
    keys: Vec<u8>,
}

/// An entry of a directory.
#[derive(Debug)]
pub(super) struct Entry<'t> {
    pub(super) name: &'t Name,
    pub(super) id: InodeId,
    pub(super) is_directory: bool,
    /// Where its key is. That is what the entry is sorted by: the identifier without dot at
    /// its end and version, of one byte a character in the primary tree, of two in Joliet's.
    key_start: u32,
    key_bytes: u8,
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

    /// What keys are sorted by, unit by unit: the dot ends the name, so it comes
    /// before whatever a longer name goes on with, as the space does that shorter
    /// names are filled with (9.3).
    fn compare(self, left: &[u8], right: &[u8]) -> std::cmp::Ordering {
        match self {
            // No d-character comes before the dot.
            Self::Primary => left.cmp(right),
            Self::Joliet => {
                let unit = |unit: &[u8; 2]| if *unit == [0, b'.'] { [0, 0] } else { *unit };
                let units = |key| <[u8]>::as_chunks::<2>(key).0.iter().map(unit);
                units(left).cmp(units(right))
            }
        }
    }
}

impl<'t> Listing<'t> {
    /// Gives each of `count` entries its identifier. They must come in the order of their names.
    pub(super) fn new(
        alphabet: Alphabet,
        count: usize,
        entries: impl Iterator<Item = (&'t Name, InodeId, bool)>,
    ) -> Result<Self> {
        let mut listing = Self { alphabet, entries: Vec::with_capacity(count), keys: Vec::new() };
        // In nearly every directory each name gives another key.
        let mut is_plain = true;
        for (name, id, is_directory) in entries {
            let start = listing.keys.len();
            is_plain &= match alphabet {
                Alphabet::Primary => {
                    append_primary(name.as_bytes(), is_directory, &mut listing.keys);
                    true
                }
                Alphabet::Joliet => {
                    let push = |unit: u16| listing.keys.extend(unit.to_be_bytes());
                    let outcome = joliet_units(name.as_bytes(), is_directory, push);
                    if outcome.is_err() {
                        listing.keys.truncate(start);
                    }
                    outcome.is_ok()
                }
            };
            listing.push(name, id, is_directory, start)?;
        }
        listing.sort();
        if !is_plain || listing.has_equal_keys() {
            return listing.with_numbers();
        }
        Ok(listing)
    }

    /// Where some names do not do as keys, or give the same one: gives them numbers.
    fn with_numbers(mut self) -> Result<Self> {
        self.entries.sort_unstable_by_key(|entry| entry.name);
        let entries = std::mem::take(&mut self.entries);
        self.keys.clear();
        match self.alphabet {
            Alphabet::Primary => {
                let mut keys = Keys::new(PRIMARY_MAX, b'_', b'.');
                for Entry { name, id, is_directory, .. } in entries {
                    let start = self.keys.len();
                    self.keys.extend(keys.make(Parts::primary(name.as_bytes(), is_directory)));
                    self.push(name, id, is_directory, start)?;
                }
            }
            Alphabet::Joliet => {
                let mut keys = Keys::new(JOLIET_MAX, u16::from(b'_'), JOLIET_DOT);
                let append = |listing: &mut Self, Entry { name, id, is_directory, .. }, key| {
                    let key: Vec<u16> = key;
                    let start = listing.keys.len();
                    listing.keys.extend(key.iter().flat_map(|unit| unit.to_be_bytes()));
                    listing.push(name, id, is_directory, start)
                };
                // A name that is held as it is comes first: no other one takes its place.
                let mut mangled = Vec::new();
                for entry in entries {
                    let mut units = Vec::new();
                    let name = entry.name.as_bytes();
                    match joliet_units(name, entry.is_directory, |unit| units.push(unit)) {
                        Ok(()) => append(&mut self, entry, keys.take(units))?,
                        Err(_) => mangled.push(entry),
                    }
                }
                for entry in mangled {
                    let parts = Parts::joliet(entry.name.as_bytes(), entry.is_directory);
                    append(&mut self, entry, keys.make(parts))?;
                }
            }
        }
        self.sort();
        Ok(self)
    }

    /// Adds an entry whose key is what stands in `keys` from `start` on.
    fn push(
        &mut self,
        name: &'t Name,
        id: InodeId,
        is_directory: bool,
        start: usize,
    ) -> Result<()> {
        // No key is longer than 130 bytes, and no machine has the memory for 4 GiB of them.
        let key_start = u32::try_from(start).map_err(|_| inconsistent())?;
        let key_bytes = u8::try_from(self.keys.len() - start).map_err(|_| inconsistent())?;
        self.entries.push(Entry { name, id, is_directory, key_start, key_bytes });
        Ok(())
    }

    fn sort(&mut self) {
        let Self { alphabet, entries, keys } = self;
        entries.sort_unstable_by(|left, right| alphabet.compare(left.key(keys), right.key(keys)));
    }

    fn has_equal_keys(&self) -> bool {
        let key = |entry: &Entry<'_>| entry.key(&self.keys);
        self.entries.windows(2).any(|pair| match pair {
            [one, next] => key(one) == key(next),
            _ => false,
        })
    }

    pub(super) fn entries(&self) -> &[Entry<'t>] {
        &self.entries
    }

    /// Appends the identifier of an entry: of a file with dot and version (7.5.1).
    pub(super) fn append_identifier(&self, entry: &Entry<'_>, identifier: &mut Vec<u8>) {
        let key = entry.key(&self.keys);
        identifier.extend_from_slice(key);
        if entry.is_directory {
            return;
        }
        identifier.extend_from_slice(match self.alphabet {
            Alphabet::Primary if key.contains(&b'.') => b";1",
            Alphabet::Primary => b".;1",
            // Joliet, as everybody writes it, needs no dot.
            Alphabet::Joliet => b"\0;\x001",
        });
    }
}

impl Entry<'_> {
    fn key<'k>(&self, keys: &'k [u8]) -> &'k [u8] {
        let start = usize::try_from(self.key_start).unwrap_or(usize::MAX);
        let behind = keys.get(start..).unwrap_or_default();
        behind.get(..usize::from(self.key_bytes)).unwrap_or_default()
    }
}

/// The identifiers of entries in the order of their names, each with whether it is a
/// directory's; returned in the order of their records.
pub(crate) fn identifiers(names: &[(Name, bool)], is_joliet: bool) -> Result<Vec<Vec<u8>>> {
    let alphabet = if is_joliet { Alphabet::Joliet } else { Alphabet::Primary };
    let entries = names.iter().map(|(name, is_directory)| (name, Tree::ROOT, *is_directory));
    let listing = Listing::new(alphabet, names.len(), entries)?;
    let identifier = |entry: &Entry<'_>| {
        let mut identifier = Vec::new();
        listing.append_identifier(entry, &mut identifier);
        identifier
    };
    Ok(listing.entries().iter().map(identifier).collect())
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
        let listing = Listing::new(alphabet, names.len(), entries).unwrap();
        let shown = |entry: &Entry<'_>| {
            let mut identifier = Vec::new();
            listing.append_identifier(entry, &mut identifier);
            let name = entry.name.as_bytes().escape_ascii().to_string();
            (name, identifier.escape_ascii().to_string().replace("\\x00", ""))
        };
        listing.entries().iter().map(shown).collect()
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
