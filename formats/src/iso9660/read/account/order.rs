//! The order of the records of a directory (ECMA-119 9.3, and as Joliet has it).

use std::cmp::Ordering;

use super::tree::Kind;

/// How two identifiers of one directory are ordered.
pub(super) fn compare(one: &[u8], other: &[u8], kind: Kind) -> Ordering {
    match kind {
        // genisoimage goes by characters, of which separators come first: it is the same but for
        // names that break the rules.
        Kind::RockRidge | Kind::Plain => {
            let by_characters = characters(one).cmp(characters(other));
            narrow(one, other).min(by_characters)
        }
        // genisoimage and libisofs order these by the characters alone, which tells another
        // story of names that begin with a dot.
        Kind::Joliet => wide(one).cmp(wide(other)).min(one.cmp(other)),
        Kind::Enhanced => narrow(one, other).min(one.cmp(other)),
    }
}

fn narrow(one: &[u8], other: &[u8]) -> Ordering {
    let [(one, one_version), (other, other_version)] = [one, other].map(|it| split(it, b';'));
    let [(one, one_extension), (other, other_extension)] = [one, other].map(|it| split(it, b'.'));
    compare_padded(one, other)
        .then_with(|| compare_padded(one_extension, other_extension))
        // The newest version comes first.
        .then_with(|| other_version.cmp(one_version))
}

fn characters(identifier: &[u8]) -> impl Iterator<Item = u16> {
    identifier.iter().map(|byte| match byte {
        b';' => 0,
        b'.' => 1,
        other => u16::from(*other) + 2,
    })
}

/// What is before the separator, and what begins with it.
fn split(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| *byte == separator).unwrap_or(text.len()))
}

/// As if the shorter one were filled up with spaces.
fn compare_padded(one: &[u8], other: &[u8]) -> Ordering {
    let length = one.len().max(other.len());
    let [one, other] =
        [one, other].map(|text| text.iter().copied().chain(std::iter::repeat(b' ')).take(length));
    one.cmp(other)
}

/// The characters without the version. Separators come before all others, as fillers do.
fn wide(identifier: &[u8]) -> impl Iterator<Item = u16> {
    let text = identifier.strip_suffix(&[0, b';', 0, b'1']).unwrap_or(identifier);
    text.chunks(2).map(|pair| match pair {
        [0, b'.'] => 0,
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    })
}
