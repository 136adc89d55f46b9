//! Points in time.

use std::str::FromStr;
use std::time::SystemTime;

use crate::calendar::DateTime;
use crate::error::{Error, ErrorKind, Result};

/// A point in time: seconds since 1970-01-01 00:00:00 UTC, negative before, and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    const NANOSECONDS_MAX: u32 = 999_999_999;

    /// So many whole seconds since 1970-01-01 00:00:00 UTC, and nanoseconds after them;
    /// [`ErrorKind::Unrepresentable`] if these are a second or more.
    pub fn new(seconds: i64, nanoseconds: u32) -> Result<Self> {
        if nanoseconds > Self::NANOSECONDS_MAX {
            return Err(refuse("the time has a second or more of nanoseconds"));
        }
        Ok(Self { seconds, nanoseconds })
    }

    /// So many whole seconds since 1970-01-01 00:00:00 UTC.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }

    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// So many seconds later, or the last second that there is.
    pub(crate) const fn later_by(self, seconds: u32) -> Self {
        Self { seconds: self.seconds.saturating_add_unsigned(seconds as u64), ..self }
    }

    /// 0 to 999,999,999, always counted forward.
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        // The seconds of Unix have 64 bits there, too.
        let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => {
                Self { seconds: seconds(after.as_secs()), nanoseconds: after.subsec_nanos() }
            }
            Err(error) => {
                let before = error.duration();
                match before.subsec_nanos() {
                    0 => Self::from_seconds(-seconds(before.as_secs())),
                    // Nanoseconds are counted forward.
                    nanoseconds => Self {
                        seconds: -seconds(before.as_secs()) - 1,
                        nanoseconds: 1_000_000_000 - nanoseconds,
                    },
                }
            }
        }
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Whole seconds since the epoch, as `SOURCE_DATE_EPOCH` has them, or a date such as
    /// `2024-02-29T12:34:56Z`, as [`DateTime`] reads it.
    fn from_str(text: &str) -> Result<Self> {
        let is_number =
            text.strip_prefix('-').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number);
        let seconds = number.or_else(|| text.parse::<DateTime>().ok()?.seconds());
        seconds.map(Self::from_seconds).ok_or_else(|| {
            refuse("expected whole seconds since 1970 or a time such as 2024-02-29T12:34:56Z")
        })
    }
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::Unrepresentable, message)
}
