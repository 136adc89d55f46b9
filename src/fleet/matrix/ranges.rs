//! Names that count up, written as the manifest's ranges: `chimera-[01-50]`.

/// The names in their order, with each run that counts up by one as a range.
pub(super) fn joined<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut joined = Vec::new();
    let mut run: Option<Run> = None;
    for name in names {
        if run.as_mut().is_some_and(|run| run.takes(name)) {
            continue;
        }
        joined.extend(run.replace(Run::new(name)).map(|run| run.name()));
    }
    joined.extend(run.map(|run| run.name()));
    joined
}

/// Names that differ in one number, each by one from the name before it.
struct Run<'a> {
    first: Numbered<'a>,
    last: Numbered<'a>,
}

impl<'a> Run<'a> {
    fn new(name: &'a str) -> Self {
        let name = Numbered::new(name);
        Self { first: name, last: name }
    }

    /// Adds the name if it is the next one of the run; else returns false.
    fn takes(&mut self, name: &'a str) -> bool {
        let next = Numbered::new(name);
        let (first, last) = (self.first, self.last);
        let is_alike = next.before == last.before && next.after == last.after;
        // The manifest's ranges keep leading zeros where both ends are equally long.
        let may_grow = !first.digits.starts_with('0');
        let is_long_enough = next.digits.len() == first.digits.len() || may_grow;
        let follows = last.next().is_some_and(|digits| digits == next.digits);
        if is_alike && is_long_enough && follows {
            self.last = next;
        }
        is_alike && is_long_enough && follows
    }

    fn name(&self) -> String {
        let Self { first: Numbered { before, digits, after }, last } = self;
        if *digits == last.digits {
            return format!("{before}{digits}{after}");
        }
        format!("{before}[{digits}-{}]{after}", last.digits)
    }
}

/// A name around its last number.
#[derive(Clone, Copy)]
struct Numbered<'a> {
    before: &'a str,
    /// Empty where there is no number.
    digits: &'a str,
    after: &'a str,
}

impl<'a> Numbered<'a> {
    fn new(name: &'a str) -> Self {
        let is_no_digit = |character: char| !character.is_ascii_digit();
        let rest = name.trim_end_matches(is_no_digit);
        let before = rest.trim_end_matches(|character: char| character.is_ascii_digit());
        let digits = rest.strip_prefix(before).unwrap_or_default();
        let after = name.strip_prefix(rest).unwrap_or_default();
        Self { before, digits, after }
    }

    /// The digits of the next number, of the same length where leading zeros allow it.
    fn next(&self) -> Option<String> {
        let number: u64 = self.digits.parse().ok()?;
        Some(format!("{:0width$}", number.checked_add(1)?, width = self.digits.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_ranges_and_nothing_else_is() {
        for (names, expected) in [
            ("", ""),
            ("a", "a"),
            ("a b", "a b"),
            ("a1 a2", "a[1-2]"),
            ("a-01 a-02 a-03 medusa", "a-[01-03] medusa"),
            ("a8 a9 a10 a11", "a[8-11]"),
            ("a08 a09 a10", "a[08-10]"),
            // A range from 98 would have no leading zero, and one from 098 keeps its own.
            ("a098 a099 a100", "a[098-100]"),
            ("a08 a9", "a08 a9"),
            ("a099 a100 a101", "a[099-101]"),
            ("a09 a10 a99 a100", "a[09-10] a[99-100]"),
            ("a1 a3 a2", "a1 a3 a2"),
            ("a1 b2", "a1 b2"),
            ("a1x a2x a3y", "a[1-2]x a3y"),
            ("r1-a1 r1-a2 r2-a1 r2-a2", "r1-a[1-2] r2-a[1-2]"),
            ("7 8 9", "[7-9]"),
            ("a18446744073709551615 a0", "a18446744073709551615 a0"),
            ("a a", "a a"),
        ] {
            let names = names.split(' ').filter(|name| !name.is_empty());
            assert_eq!(joined(names).join(" "), expected);
        }
    }
}
