//! Times as ISO 9660 stores them: as dates of UTC in whole seconds.

use super::format::{RecordTime, VolumeTime};
use crate::calendar::DateTime;
use crate::error::{Error, ErrorKind, Result};
use crate::tree::Timestamp;

/// The years that a byte counts from 1900 on.
const RECORD_YEARS: std::ops::RangeInclusive<u16> = 1900..=2155;
/// The seconds of those years, since 1970.
const RECORD_SECONDS: std::ops::Range<i64> = -2_208_988_800..5_869_584_000;

/// Refuses what [`record_time`] refuses, and makes no date.
pub(super) fn check_record_time(time: Timestamp, cut_fractions: bool) -> Result<()> {
    check_fraction(time, cut_fractions)?;
    if RECORD_SECONDS.contains(&time.seconds()) { Ok(()) } else { Err(out_of_range()) }
}

/// The date of a directory record. A time outside the years 1900 to 2155, or with
/// a fraction that may not be cut off, is [`ErrorKind::Unrepresentable`].
pub(super) fn record_time(time: Timestamp, cut_fractions: bool) -> Result<RecordTime> {
    let date = date(time, cut_fractions)?.filter(|date| RECORD_YEARS.contains(&date.year));
    let year = date.and_then(|date| u8::try_from(date.year - RECORD_YEARS.start()).ok());
    let (Some(DateTime { month, day, hour, minute, second, .. }), Some(year)) = (date, year) else {
        return Err(out_of_range());
    };
    Ok(RecordTime { year, month, day, hour, minute, second, offset: 0 })
}

/// The dates of many records. Neighbours often have the time of one second, whose date is
/// made once.
pub(super) struct RecordTimes {
    cut_fractions: bool,
    last: Option<(Timestamp, RecordTime)>,
}

impl RecordTimes {
    pub(super) fn new(cut_fractions: bool) -> Self {
        Self { cut_fractions, last: None }
    }

    /// What [`record_time`] gives.
    pub(super) fn of(&mut self, time: Timestamp) -> Result<RecordTime> {
        check_fraction(time, self.cut_fractions)?;
        match self.last {
            Some((last, date)) if last.seconds() == time.seconds() => Ok(date),
            _ => {
                let date = record_time(time, self.cut_fractions)?;
                self.last = Some((time, date));
                Ok(date)
            }
        }
    }
}

/// The date of a volume descriptor, of the years 1 to 9999.
pub(super) fn volume_time(time: Timestamp, cut_fractions: bool) -> Result<VolumeTime> {
    let Some(date) = date(time, cut_fractions)? else {
        return Err(refuse("the image's time is out of range: ISO 9660 holds years 1 to 9999"));
    };
    let DateTime { year, month, day, hour, minute, second } = date;
    let text = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}00");
    let mut digits = [b'0'; 16];
    for (to, from) in digits.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    Ok(VolumeTime { digits, offset: 0 })
}

impl VolumeTime {
    /// Seconds since 1970-01-01 00:00:00 UTC; none where it is not given, no date, or
    /// of another zone than UTC.
    pub(crate) fn seconds(&self) -> Option<i64> {
        let text = std::str::from_utf8(&self.digits).ok().filter(|_| self.offset == 0)?;
        let number = |range: std::ops::Range<usize>| {
            let digits = text.get(range)?;
            digits
                .bytes()
                .all(|digit| digit.is_ascii_digit())
                .then(|| digits.parse::<u16>().ok())?
        };
        let small = |start: usize| number(start..start + 2).and_then(|n| u8::try_from(n).ok());
        let date = DateTime {
            year: number(0..4)?,
            month: small(4)?,
            day: small(6)?,
            hour: small(8)?,
            minute: small(10)?,
            second: small(12)?,
        };
        date.seconds()
    }

    /// The digits in groups, as blkid shows them for a UUID; none where the time is not given.
    pub(crate) fn id(&self) -> Option<String> {
        let digits = str::from_utf8(&self.digits).ok()?;
        let is_given = digits.bytes().any(|digit| digit != b'0') || self.offset != 0;
        if !is_given || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let (year, rest) = digits.split_at_checked(4)?;
        let mut text = year.to_owned();
        for pair in rest.as_bytes().chunks(2) {
            text.push('-');
            text.extend(pair.iter().map(|digit| char::from(*digit)));
        }
        Some(text)
    }
}

/// A time that is not given.
pub(super) const NO_VOLUME_TIME: VolumeTime = VolumeTime { digits: [b'0'; 16], offset: 0 };

fn date(time: Timestamp, cut_fractions: bool) -> Result<Option<DateTime>> {
    check_fraction(time, cut_fractions)?;
    Ok(DateTime::from_seconds(time.seconds()))
}

fn check_fraction(time: Timestamp, cut_fractions: bool) -> Result<()> {
    if time.nanoseconds() > 0 && !cut_fractions {
        return Err(refuse("the time has a fraction of a second, ISO 9660 holds whole seconds"));
    }
    Ok(())
}

fn out_of_range() -> Error {
    refuse("the time is out of range: ISO 9660 holds those from 1900 to 2155")
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::Unrepresentable, message)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use zerocopy::IntoBytes;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn record_times_go_from_1900_to_2155() {
        // Each from `date -u -d TEXT +%s`.
        for (seconds, expected) in [
            (-2_208_988_800, [0, 1, 1, 0, 0, 0, 0]),
            (0, [70, 1, 1, 0, 0, 0, 0]),
            (951_827_696, [100, 2, 29, 12, 34, 56, 0]),
            (5_869_583_999, [255, 12, 31, 23, 59, 59, 0]),
        ] {
            assert_eq!(record_time(at(seconds), false).unwrap().as_bytes(), expected);
            assert!(check_record_time(at(seconds), false).is_ok(), "{seconds}");
        }
        for seconds in [-2_208_988_801, 5_869_584_000, i64::MIN, i64::MAX] {
            let error = record_time(at(seconds), false).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Unrepresentable, "{seconds}");
            let checked = check_record_time(at(seconds), false).unwrap_err();
            assert_eq!(checked.to_string(), error.to_string(), "{seconds}");
        }
    }

    #[test]
    fn neighbours_of_one_second_have_its_date_and_others_their_own() {
        let mut times = RecordTimes::new(true);
        for (seconds, nanoseconds) in [(0, 0), (0, 5), (1, 5), (1, 0), (0, 0)] {
            let time = Timestamp::new(seconds, nanoseconds).unwrap();
            let expected = record_time(time, true).unwrap();
            assert_eq!(times.of(time).unwrap().as_bytes(), expected.as_bytes(), "{seconds}");
        }
        let mut strict = RecordTimes::new(false);
        assert!(strict.of(at(0)).is_ok());
        assert!(strict.of(Timestamp::new(0, 5).unwrap()).is_err());
    }

    #[test]
    fn volume_times_are_digits() {
        let time = volume_time(at(951_827_696), false).unwrap();
        assert_eq!(&time.digits, b"2000022912345600");
        assert_eq!(time.seconds(), Some(951_827_696));
        assert_eq!(NO_VOLUME_TIME.seconds(), None);
        assert_eq!(VolumeTime { offset: 4, ..time }.seconds(), None);
        assert!(volume_time(at(i64::MAX), false).is_err());
    }

    #[test]
    fn fractions_are_cut_only_where_that_is_allowed() {
        let time = Timestamp::new(-1, 500_000_000).unwrap();
        assert!(record_time(time, false).is_err());
        assert!(check_record_time(time, false).is_err() && check_record_time(time, true).is_ok());
        let cut = record_time(time, true).unwrap();
        assert_eq!(cut.as_bytes(), [69, 12, 31, 23, 59, 59, 0]);
    }
}
