//! Seconds since the epoch, as a number or as a date and time of UTC.

use super::error::Fault;

const SECONDS_OF_DAY: i64 = 86_400;
/// Days from 0001-01-01 to 1970-01-01 in the Gregorian calendar.
const DAYS_TO_EPOCH: i64 = 719_162;

/// Seconds since 1970-01-01 00:00:00 UTC of a whole number or of
/// `YYYY-MM-DDTHH:MM:SSZ` with a year of 0001 to 9999.
pub(super) fn seconds(text: &str) -> Result<i64, Fault> {
    let is_number =
        text.strip_prefix('-').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number
        .or_else(|| from_utc(text))
        .ok_or_else(|| Fault::new("expected whole seconds, YYYY-MM-DDTHH:MM:SSZ or `keep`"))
}

/// The same time as text: the date where its year has four digits, else the seconds after an `@`.
pub(crate) fn show(seconds: i64) -> String {
    let days = seconds.div_euclid(SECONDS_OF_DAY) + DAYS_TO_EPOCH;
    // 400 years have 146,097 days; this is the right year or a little later.
    let mut year = days * 400 / 146_097 + 2;
    while days_before(year) > days {
        year -= 1;
    }
    if !(1..=9999).contains(&year) {
        return format!("@{seconds}");
    }
    let mut day = days - days_before(year);
    let mut month = 1;
    while day >= days_of_month(year, month) {
        day -= days_of_month(year, month);
        month += 1;
    }
    let time = seconds.rem_euclid(SECONDS_OF_DAY);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1)
}

fn from_utc(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    let is_date = year >= 1 && (1..=12).contains(&month) && day >= 1;
    if !is_date || day > days_of_month(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let months: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
    let days = days_before(year) + months + day - 1 - DAYS_TO_EPOCH;
    Some(days * SECONDS_OF_DAY + hour * 3600 + minute * 60 + second)
}

/// Three decimal fields of exactly these widths.
fn fields(text: &str, separator: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next()?;
        let is_number = part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 0001-01-01 to the first day of `year`.
fn days_before(year: i64) -> i64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn known_times_convert_both_ways() {
        // Each from `date -u -d TEXT +%s`.
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("1900-02-28T23:59:59Z", -2_203_891_201),
            ("2024-12-31T23:59:59Z", 1_735_689_599),
            ("2038-01-19T03:14:08Z", 2_147_483_648),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(seconds(text).unwrap(), expected, "{text}");
            assert_eq!(show(expected), text);
        }
    }

    #[test]
    fn each_day_of_a_thousand_years_comes_back() {
        let mut previous = String::new();
        for day in -135_140..=230_000 {
            let text = show(day * SECONDS_OF_DAY + 1);
            assert!(text > previous, "{text} follows {previous}");
            assert_eq!(seconds(&text).unwrap(), day * SECONDS_OF_DAY + 1);
            previous = text;
        }
    }

    #[test]
    fn whole_seconds_are_taken() {
        assert_eq!(seconds("0").unwrap(), 0);
        assert_eq!(seconds("-62135596801").unwrap(), -62_135_596_801);
        assert_eq!(seconds("9223372036854775807").unwrap(), i64::MAX);
        assert_eq!(show(-62_135_596_801), "@-62135596801");
        assert_eq!(show(253_402_300_800), "@253402300800");
        assert_eq!(show(i64::MIN), format!("@{}", i64::MIN));
        assert_eq!(show(i64::MAX), format!("@{}", i64::MAX));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "-",
            "+1",
            "1.5",
            "1e3",
            "0x10",
            "now",
            "keep",
            "9223372036854775808",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00+00:00",
            "2024-01-01 00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-12-31T23:59:60Z",
            "0000-01-01T00:00:00Z",
            "24-01-01T00:00:00Z",
            "2024-1-01T00:00:00Z",
            "2024-01-01T00:00:00.5Z",
            "2024-01-01-01T00:00:00Z",
            "-024-01-01T00:00:00Z",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
