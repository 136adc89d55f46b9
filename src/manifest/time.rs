//! Seconds since the epoch, as a number or as a date and time of UTC.

use credimg_formats::{DateTime, Timestamp};

use super::error::Fault;

/// Seconds since 1970-01-01 00:00:00 UTC of a whole number or of
/// `YYYY-MM-DDTHH:MM:SSZ` with a year of 0001 to 9999.
pub(super) fn seconds(text: &str) -> Result<i64, Fault> {
    let time = text.parse::<Timestamp>().map(Timestamp::seconds);
    time.map_err(|_| Fault::new("expected whole seconds, YYYY-MM-DDTHH:MM:SSZ or `keep`"))
}

/// The seconds of a time; none where the text is not a time.
pub(crate) fn read(text: &str) -> Option<i64> {
    seconds(text).ok()
}

/// A time as text that the manifest takes: the date where its year has four digits, else the
/// seconds after an `@`.
pub(crate) fn show(seconds: i64) -> String {
    match DateTime::from_seconds(seconds) {
        Some(date) => date.to_string(),
        None => format!("@{seconds}"),
    }
}

/// Seconds since the epoch of year, month and day, and hour, minute and second, of UTC.
pub(crate) fn from_fields(
    [year, month, day]: [i64; 3],
    [hour, minute, second]: [i64; 3],
) -> Option<i64> {
    let small = |number: i64| u8::try_from(number).ok();
    let year = u16::try_from(year).ok()?;
    let (month, day) = (small(month)?, small(day)?);
    let (hour, minute, second) = (small(hour)?, small(minute)?, small(second)?);
    DateTime { year, month, day, hour, minute, second }.seconds()
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
        const SECONDS_OF_DAY: i64 = 86_400;
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
