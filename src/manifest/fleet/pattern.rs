//! Names of machines with ranges and wildcards: `medusa`, `chimera-[01-50]`, `*-[!a]?`.

use super::super::error::Fault;

/// Longest name of a machine in bytes: it becomes a part of file names.
const NAME_MAX_BYTES: usize = 64;
/// Longest pattern in bytes.
const PATTERN_MAX_BYTES: usize = 256;
/// Most digits of a range's ends.
const DIGITS_MAX: usize = 9;
/// What a name is.
const NAME_RULE: &str = "expected a machine's name: at most 64 letters, digits and `-_.`, of \
                         which the first is a letter or digit";
/// How machines are named.
pub(super) const NAME_HINT: &str =
    "such as `medusa`, or `chimera-[01-50]` for fifty machines at once";

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// This character.
    Character(u8),
    /// `*`: any characters, or none.
    Many,
    /// `?`: any one character.
    One,
    /// `[abc]`, `[a-z]`, `[!a]`: one character of these, or one that is none of these.
    Class { is_negated: bool, ranges: Vec<(u8, u8)> },
    /// `[01-50]`: a number of these, with zeros in front to this width.
    Range { first: u64, last: u64, width: usize },
}

/// A name of a machine, or a way to name several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Understands a name, a name with ranges, or a glob.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() || text.len() > PATTERN_MAX_BYTES {
            return Err(Fault::new(NAME_RULE).hint(NAME_HINT));
        }
        let mut pieces = Vec::new();
        let mut left = text.as_bytes();
        while let [first, rest @ ..] = left {
            left = rest;
            pieces.push(match first {
                b'*' => Piece::Many,
                b'?' => Piece::One,
                b'[' => {
                    let end = rest.iter().position(|byte| *byte == b']');
                    let Some((inner, behind)) = end.and_then(|end| rest.split_at_checked(end))
                    else {
                        return Err(Fault::new("expected `]` behind `[`"));
                    };
                    left = behind.get(1..).unwrap_or_default();
                    brackets(inner)?
                }
                byte if is_of_name(*byte) => Piece::Character(*byte),
                _ => return Err(Fault::new(NAME_RULE).hint(NAME_HINT)),
            });
        }
        Ok(Self(pieces))
    }

    /// The names that it makes, in order; none where it is a glob, which makes none. More than
    /// `left` are a fault, as are names that no machine can have.
    pub(super) fn names(&self, left: usize) -> Result<Option<Vec<String>>, Fault> {
        let mut count: u64 = 1;
        for piece in &self.0 {
            match piece {
                Piece::Character(_) => {}
                Piece::Range { first, last, .. } => {
                    count = count.saturating_mul((last - first).saturating_add(1));
                }
                Piece::Many | Piece::One | Piece::Class { .. } => return Ok(None),
            }
        }
        if count > left as u64 {
            let max = super::machines::MACHINES_MAX;
            return Err(Fault::new(format!("expected at most {max} machines in all")));
        }
        let mut names = vec![String::new()];
        for piece in &self.0 {
            match piece {
                Piece::Character(byte) => {
                    for name in &mut names {
                        name.push(char::from(*byte));
                    }
                }
                Piece::Range { first, last, width } => {
                    let with = |name: &String| {
                        let name = name.clone();
                        let numbers = (*first..=*last).map(move |number| (name.clone(), number));
                        numbers.map(|(name, number)| format!("{name}{number:0width$}"))
                    };
                    names = names.iter().flat_map(with).collect();
                }
                Piece::Many | Piece::One | Piece::Class { .. } => return Ok(None),
            }
        }
        if names.iter().all(|name| is_name(name)) {
            return Ok(Some(names));
        }
        Err(Fault::new(NAME_RULE).hint(NAME_HINT))
    }

    /// The name that it is, where it is one name and no more.
    pub(super) fn literal(&self) -> Option<String> {
        let letter = |piece: &Piece| match piece {
            Piece::Character(byte) => Some(char::from(*byte)),
            Piece::Many | Piece::One | Piece::Class { .. } | Piece::Range { .. } => None,
        };
        self.0.iter().map(letter).collect()
    }

    /// Whether it names the machine `name`.
    pub(super) fn matches(&self, name: &str) -> bool {
        let mut places = 1;
        for piece in &self.0 {
            places = step(piece, name.as_bytes(), places);
            if places == 0 {
                return false;
            }
        }
        places & (1 << name.len().min(NAME_MAX_BYTES)) != 0
    }

    /// How many pieces it has, which is how long a comparison may take.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Whether a machine may have this name.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= NAME_MAX_BYTES
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(is_of_name)
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}

/// What stands between brackets: two numbers are a range, all else is a class.
fn brackets(inner: &[u8]) -> Result<Piece, Fault> {
    if let Some(range) = range(inner) {
        return range;
    }
    let (is_negated, mut left) = match inner {
        [b'!' | b'^', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let mut ranges = Vec::new();
    while let [first, rest @ ..] = left {
        let (last, behind) = match rest {
            [b'-', last, behind @ ..] => (last, behind),
            _ => (first, rest),
        };
        left = behind;
        if first > last || !is_of_name(*first) || !is_of_name(*last) {
            let fault = Fault::new("expected a range or characters of names between brackets");
            return Err(fault.hint("such as `[01-50]`, `[abc]` or `[!a-c]`"));
        }
        ranges.push((*first, *last));
    }
    if ranges.is_empty() {
        return Err(Fault::new("expected something between brackets"));
    }
    Ok(Piece::Class { is_negated, ranges })
}

/// The range of numbers that it is, if it is one.
fn range(inner: &[u8]) -> Option<Result<Piece, Fault>> {
    let (first, last) = std::str::from_utf8(inner).ok()?.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(first) || !is_number(last) {
        return None;
    }
    if first.len().max(last.len()) > DIGITS_MAX {
        let message = format!("expected a range of at most {DIGITS_MAX} digits");
        return Some(Err(Fault::new(message)));
    }
    let has_zeros = |text: &str| text.len() > 1 && text.starts_with('0');
    if first.len() != last.len() && (has_zeros(first) || has_zeros(last)) {
        let fault = Fault::new("the ends of a range with leading zeros differ in length");
        return Some(Err(fault.hint("such as `[001-100]`")));
    }
    let width = if first.len() == last.len() { first.len() } else { 0 };
    let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    if first > last {
        return Some(Err(Fault::new("a range ends before it begins")));
    }
    Some(Ok(Piece::Range { first, last, width }))
}

/// The places in `name` up to which `piece` may match, which begins at one of `from`. A set of
/// places is a number whose bit N says that the first N bytes are matched.
fn step(piece: &Piece, name: &[u8], from: u128) -> u128 {
    let one = |is_it: &dyn Fn(u8) -> bool| {
        let (mut left, mut to) = (from, 0);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            if name.get(at).is_some_and(|byte| is_it(*byte)) {
                to |= 2 << at;
            }
        }
        to
    };
    match piece {
        // All places from the first one on.
        Piece::Many => !from.wrapping_sub(1) & !from | from,
        Piece::One => one(&|_| true),
        Piece::Character(byte) => one(&|other| other == *byte),
        Piece::Class { is_negated, ranges } => {
            let is_in = |byte| ranges.iter().any(|(low, high)| (*low..=*high).contains(&byte));
            one(&|byte| is_in(byte) != *is_negated)
        }
        Piece::Range { first, last, width } => {
            let mut to = 0;
            for at in (0..name.len()).filter(|at| from & (1 << at) != 0) {
                let digits = name.get(at..).unwrap_or_default().iter().take(DIGITS_MAX);
                let mut number = 0;
                for (length, digit) in (1..).zip(digits.take_while(|b| b.is_ascii_digit())) {
                    number = number * 10 + u64::from(*digit - b'0');
                    let is_written_so = match width {
                        0 => length == 1 || number >= 10_u64.pow(length - 1),
                        width => length as usize == *width,
                    };
                    if is_written_so && (*first..=*last).contains(&number) {
                        to |= 1 << (at + length as usize);
                    }
                }
            }
            to
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn ranges_make_names() {
        for (text, names) in [
            ("medusa", &["medusa"][..]),
            ("a-[08-11]", &["a-08", "a-09", "a-10", "a-11"]),
            ("a-[8-11]", &["a-8", "a-9", "a-10", "a-11"]),
            ("[0-1]x[1-2]", &["0x1", "0x2", "1x1", "1x2"]),
            ("a[7-7]", &["a7"]),
        ] {
            let pattern = Pattern::parse(text).unwrap();
            assert_eq!(pattern.names(100).unwrap().unwrap(), names, "{text}");
            assert!(names.iter().all(|name| pattern.matches(name)), "{text}");
        }
        assert!(Pattern::parse("a[0-9]").unwrap().names(9).is_err());
        assert!(
            Pattern::parse("a[0-999999999][0-999999999][0-999999999]").unwrap().names(9).is_err()
        );
    }

    #[test]
    fn patterns_match_whole_names() {
        for (text, yes, no) in [
            ("a*", &["a", "ab", "a-b.c"][..], &["b", "ba", "A"][..]),
            ("*a", &["a", "aa", "ba"], &["ab", ""]),
            ("*", &["a", "a.b"], &[]),
            ("a?c", &["abc", "a-c"], &["ac", "abbc"]),
            ("a[bc]", &["ab", "ac"], &["ad", "abc", "a"]),
            ("a[!b-d]", &["aa", "ae"], &["ab", "ad", "a"]),
            ("a[^b]", &["aa"], &["ab"]),
            ("a[0-9]", &["a0", "a9"], &["a10", "a", "a01"]),
            ("a[01-50]", &["a01", "a50"], &["a1", "a51", "a0", "a001", "a00"]),
            ("a[1-50]", &["a1", "a50"], &["a01", "a51", "a0"]),
            ("a[1-50]0", &["a10", "a500"], &["a1", "a0"]),
            ("*[1-2]*", &["1", "a2b"], &["a", "3"]),
            ("a*b*c", &["abc", "aXbYc", "abbcc"], &["acb", "ab"]),
        ] {
            let pattern = Pattern::parse(text).unwrap();
            for name in yes {
                assert!(pattern.matches(name), "{text} and {name}");
            }
            for name in no {
                assert!(!pattern.matches(name), "{text} and {name}");
            }
        }
        let longest = "a".repeat(NAME_MAX_BYTES);
        assert!(Pattern::parse(&"*".repeat(PATTERN_MAX_BYTES)).unwrap().matches(&longest));
        assert!(!Pattern::parse(&"*b".repeat(128)).unwrap().matches(&longest));
    }
}
