//! Permission bits.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// Permission bits, set-id and sticky bits: 0 to 0o7777, and never the type of a file.
///
/// ```
/// use credimg_formats::Mode;
///
/// assert_eq!("0640".parse::<Mode>()?, Mode::of::<0o640>());
/// assert!(Mode::new(0o100_640).is_err());
/// assert_eq!(Mode::of_st_mode(0o100_640).bits(), 0o640);
/// # Ok::<(), credimg_formats::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(u16);

impl Mode {
    /// What Linux shows of every symbolic link.
    pub const SYMLINK: Self = Self(0o777);

    const MAX: u16 = 0o7777;

    /// The mode of these bits; [`ErrorKind::Unrepresentable`] if there are others than those of
    /// 0o7777.
    pub fn new(bits: u16) -> Result<Self> {
        if bits > Self::MAX {
            let message = format!("mode {bits:o} is out of range: at most {:o}", Self::MAX);
            return Err(Error::new(ErrorKind::Unrepresentable, message));
        }
        Ok(Self(bits))
    }

    /// The mode of bits that stand in the code: others than those of 0o7777 do not compile.
    pub const fn of<const BITS: u16>() -> Self {
        const { assert!(BITS <= Self::MAX, "a mode has the bits of 0o7777 alone") };
        Self(BITS)
    }

    /// The mode in a file's `st_mode`, which has the file's type besides.
    pub const fn of_st_mode(st_mode: u32) -> Self {
        let [.., high, low] = st_mode.to_be_bytes();
        Self(u16::from_be_bytes([high, low]) & Self::MAX)
    }

    /// With the bits of `other` as well.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// With none of the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// 0 to 0o7777.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl FromStr for Mode {
    type Err = Error;

    /// Octal digits alone, such as `400` or `0400`; of the value 0o7777 at most.
    fn from_str(text: &str) -> Result<Self> {
        // `from_str_radix` would take a sign.
        let is_octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let bits = u16::from_str_radix(text, 8).ok().filter(|_| is_octal);
        bits.and_then(|bits| Self::new(bits).ok()).ok_or_else(|| {
            let message = format!("expected octal digits, at most {:o}", Self::MAX);
            Error::new(ErrorKind::Unrepresentable, message)
        })
    }
}

impl fmt::Octal for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl From<Mode> for u32 {
    fn from(mode: Mode) -> Self {
        mode.0.into()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn modes_are_octal_digits() {
        for (text, bits) in [("0", 0), ("400", 0o400), ("07777", 0o7777), ("000000644", 0o644)] {
            assert_eq!(text.parse::<Mode>().unwrap(), Mode::new(bits).unwrap());
        }
        for text in ["", "8", "0o400", "+400", "-1", "10000", "u=r", "4 0", "200000", "keep"] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_type_of_a_file_is_no_part_of_its_mode() {
        assert_eq!(Mode::of_st_mode(0o104_755), Mode::of::<0o4755>());
        assert_eq!(Mode::of_st_mode(u32::MAX), Mode::of::<0o7777>());
        assert!(Mode::new(0o104_755).is_err());
    }
}
