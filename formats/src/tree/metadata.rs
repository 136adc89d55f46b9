//! What an inode has besides its kind, and which values of it no file system has.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::SystemTime;

use crate::calendar::DateTime;
use crate::content::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::xattrs;

/// A point in time: seconds since 1970-01-01 00:00:00 UTC, negative before, and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds since the epoch.
    pub seconds: i64,
    /// 0 to 999,999,999, always counted forward.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// So many whole seconds since 1970-01-01 00:00:00 UTC.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }

    /// Refuses a second or more of nanoseconds.
    pub(crate) fn check(self) -> Result<()> {
        if self.nanoseconds >= 1_000_000_000 {
            return Err(refuse("the time has a second or more of nanoseconds"));
        }
        Ok(())
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

/// Extended attributes: full names (`security.selinux`) and values.
pub type Xattrs = BTreeMap<Box<[u8]>, Secret>;

/// What an inode has besides its kind. A tree takes no values out of their ranges; what is
/// changed in a tree later is checked by the plan of the image.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Permission bits, set-id and sticky bits: 0 to 0o7777.
    pub mode: u16,
    /// Owner: any but `u32::MAX`, which Linux takes for none.
    pub uid: u32,
    /// Group: any but `u32::MAX`, which Linux takes for none.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes, whose names are neither empty nor hold a NUL.
    pub xattrs: Xattrs,
}

impl Metadata {
    /// Refuses what no inode of Linux has, whatever the format.
    pub(crate) fn check(&self) -> Result<()> {
        if self.mode > 0o7777 {
            return Err(refuse(format!("mode {:o} is out of range: at most 7777", self.mode)));
        }
        for (id, what) in [(self.uid, "owner"), (self.gid, "group")] {
            if id == u32::MAX {
                let message = format!("{what} {id} is out of range: Linux takes it for none");
                return Err(refuse(message));
            }
        }
        self.mtime.check()?;
        self.xattrs.keys().try_for_each(|name| xattrs::check_name(name))
    }
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unrepresentable, message)
}
