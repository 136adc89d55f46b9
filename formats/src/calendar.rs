//! Dates of the Gregorian calendar in UTC, for formats that store them as such.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

const SECONDS_OF_DAY: i64 = 86_400;
/// Days from 0001-01-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_162;

/// A date and time of UTC, in the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl DateTime {
    /// The date of `seconds` since 1970-01-01 00:00:00 UTC; none before year 1 and after 9999.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        let days = seconds.div_euclid(SECONDS_OF_DAY) + DAYS_TO_EPOCH;
        // 400 years have 146,097 days; this is the right year or a little later.
        let mut year = days.checked_mul(400)? / 146_097 + 2;
        while days_before(year) > days {
            year -= 1;
        }
        let in_range = (1..=9999).contains(&year).then_some(year)?;
        let mut day = days - days_before(year);
        let mut month = 1;
        while day >= days_of_month(year, month) {
            day -= days_of_month(year, month);
            month += 1;
        }
        let time = seconds.rem_euclid(SECONDS_OF_DAY);
        Some(Self {
            year: u16::try_from(in_range).ok()?,
            month: u8::try_from(month).ok()?,
            day: u8::try_from(day + 1).ok()?,
            hour: u8::try_from(time / 3600).ok()?,
            minute: u8::try_from(time / 60 % 60).ok()?,
            second: u8::try_from(time % 60).ok()?,
        })
    }

    /// Seconds since 1970-01-01 00:00:00 UTC; none where a field is out of its range.
    pub fn seconds(self) -> Option<i64> {
        let [year, month, day] = [i64::from(self.year), self.month.into(), self.day.into()];
        let is_date = (1..=9999).contains(&year) && (1..=12).contains(&month) && day >= 1;
        let is_time = self.hour < 24 && self.minute < 60 && self.second < 60;
        if !is_date || !is_time || day > days_of_month(year, month) {
            return None;
        }
        let months: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
        let days = days_before(year) + months + day - 1 - DAYS_TO_EPOCH;
        let [hour, minute, second] = [self.hour, self.minute, self.second].map(i64::from);
        Some(days * SECONDS_OF_DAY + hour * 3600 + minute * 60 + second)
    }
}

/// Shows the form of RFC 3339: `2024-02-29T12:34:56Z`.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for DateTime {
    type Err = Error;

    /// Reads `2024-02-29T12:34:56Z` and no other form: UTC, a year of four digits, no fraction.
    fn from_str(text: &str) -> Result<Self> {
        read(text).filter(|date| date.seconds().is_some()).ok_or_else(|| {
            Error::new(ErrorKind::Unrepresentable, "expected a time such as 2024-02-29T12:34:56Z")
        })
    }
}

fn read(text: &str) -> Option<DateTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    let small = |number: u16| u8::try_from(number).ok();
    let (month, day) = (small(month)?, small(day)?);
    let (hour, minute, second) = (small(hour)?, small(minute)?, small(second)?);
    Some(DateTime { year, month, day, hour, minute, second })
}

/// Three decimal fields of exactly these widths.
fn fields(text: &str, separator: char, widths: [usize; 3]) -> Option<[u16; 3]> {
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
