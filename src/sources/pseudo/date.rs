//! The times of upper-case definitions that are written as a date.
//!
//! mksquashfs hands them to `date -d`. Here a documented part of what that
//! takes is understood, always in UTC unless an offset is given, so that the
//! same definitions give the same image everywhere and every day.

use crate::manifest::time;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Seconds since 1970-01-01 00:00:00 UTC, 0 to 2^32-1, of
///
/// - `@SECONDS`,
/// - `YYYY-MM-DD`, `D MONTH YYYY` or `MONTH D YYYY`, the month as its English
///   name or the first three letters of it, with or without commas;
/// - such a date and then `HH:MM` or `HH:MM:SS`, after a space or a `T`;
/// - a date, with or without a time of day, and then `Z`, `UTC` or `GMT`; after a time of day
///   also `+HH:MM` or `+HHMM`.
pub(crate) fn parse(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix('@') {
        return number(digits, 1..=10).and_then(|seconds| u32::try_from(seconds).ok());
    }
    let words: Vec<&str> = text
        .split(|c: char| c.is_ascii_whitespace() || c == ',')
        .filter(|w| !w.is_empty())
        .collect();
    let (date, rest) = match words.as_slice() {
        [iso, rest @ ..] if iso.contains('-') => match iso.split_once(['T', 't']) {
            Some((date, time)) => return seconds(iso_date(date)?, Some(time), rest),
            None => (iso_date(iso)?, rest),
        },
        [day, name, year, rest @ ..] if month(name).is_some() => {
            ([number(year, 4..=4)?, month(name)?, number(day, 1..=2)?], rest)
        }
        [name, day, year, rest @ ..] => {
            ([number(year, 4..=4)?, month(name)?, number(day, 1..=2)?], rest)
        }
        _ => return None,
    };
    match rest {
        [time, rest @ ..] if time.contains(':') => seconds(date, Some(time), rest),
        rest => seconds(date, None, rest),
    }
}

fn seconds(date: [i64; 3], time: Option<&str>, rest: &[&str]) -> Option<u32> {
    // The offset may follow the time without a space.
    let (time, attached) = match time {
        Some(time) => {
            let end = time.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(time.len());
            let (time, attached) = time.split_at(end);
            (Some(time), Some(attached).filter(|attached| !attached.is_empty()))
        }
        None => (None, None),
    };
    let zone = match (attached, rest) {
        (None, []) => None,
        (Some(zone), []) => Some(zone),
        (None, [zone]) => Some(*zone),
        _ => return None,
    };
    let offset = match zone {
        None => 0,
        Some(name) if ["z", "utc", "gmt"].contains(&name.to_ascii_lowercase().as_str()) => 0,
        Some(zone) if time.is_some() => offset_seconds(zone)?,
        Some(_) => return None,
    };
    let time = time.map_or(Some([0, 0, 0]), time_of_day)?;
    u32::try_from(time::from_fields(date, time)? - offset).ok()
}

fn iso_date(text: &str) -> Option<[i64; 3]> {
    let mut parts = text.split('-');
    let date = [
        number(parts.next()?, 4..=4)?,
        number(parts.next()?, 2..=2)?,
        number(parts.next()?, 2..=2)?,
    ];
    parts.next().is_none().then_some(date)
}

fn time_of_day(text: &str) -> Option<[i64; 3]> {
    let mut parts = text.split(':');
    let (hour, minute) = (number(parts.next()?, 1..=2)?, number(parts.next()?, 2..=2)?);
    let second = parts.next().map_or(Some(0), |part| number(part, 2..=2))?;
    parts.next().is_none().then_some([hour, minute, second])
}

/// `+HH:MM`, `+HHMM`, `-HH:MM` or `-HHMM`, up to 24 hours.
fn offset_seconds(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None => digits.split_at_checked(2)?,
    };
    let (hours, minutes) = (number(hours, 2..=2)?, number(minutes, 2..=2)?);
    (hours <= 24 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn month(name: &str) -> Option<i64> {
    let name = name.to_ascii_lowercase();
    let index = MONTHS.iter().position(|month| *month == name || month.get(..3) == Some(&name))?;
    i64::try_from(index).ok().map(|index| index + 1)
}

/// A decimal number of so many digits.
fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let is_number = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_date_1() {
        // Each from `TZ=UTC date -d TEXT +%s`.
        for (text, expected) in [
            ("@0", 0),
            ("@4294967295", u32::MAX),
            ("1 jan 1980", 315_532_800),
            ("01 January 1980", 315_532_800),
            ("Jan 1, 1980", 315_532_800),
            ("1980-01-01", 315_532_800),
            ("29 feb 2024 12:34:56", 1_709_210_096),
            ("2024-02-29T12:34:56Z", 1_709_210_096),
            ("2024-02-29 12:34:56 UTC", 1_709_210_096),
            ("2024-02-29 12:34 gmt", 1_709_210_040),
            ("2024-02-29 14:34:56+02:00", 1_709_210_096),
            ("2024-02-29 07:04:56 -0530", 1_709_210_096),
            ("2106-02-07 06:28:15", u32::MAX),
            ("1970-01-01 00:00:00", 0),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "@",
            "@-1",
            "@4294967296",
            "now",
            "yesterday",
            "last week",
            "1234567",
            "1980",
            "jan 1980",
            "1 jan",
            "1 jan 80",
            "1 janu 1980",
            "1980 jan 1",
            "32 jan 1980",
            "30 feb 2024",
            "2023-02-29",
            "2024-13-01",
            "2024-1-01",
            "1969-12-31 23:59:59",
            "2106-02-07 06:28:16",
            "2024-01-01 24:00",
            "2024-01-01 12:60",
            "2024-01-01 12:00:60",
            "2024-01-01 12",
            "2024-01-01 12:00:00.5",
            "2024-01-01 12:00 CET",
            "2024-01-01 12:00Z UTC",
            "2024-01-01 +0100",
            "2024-01-01 12:00 +1",
            "2024-01-01 12:00 +25:00",
            "2024-01-01 12:00 UTC UTC",
            "tue 1 jan 1980",
            "\u{661} jan 1980",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
