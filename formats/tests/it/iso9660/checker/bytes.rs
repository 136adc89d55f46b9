//! Bytes of an image, the numbers in them (ECMA-119 7) and the dates (8.4.26.1, 9.1.5).

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{Result, fault};

/// An image in memory or in a file.
pub(crate) trait Image {
    fn length(&self) -> u64;
    /// Bytes that are there: the caller has compared with the length.
    fn read(&self, start: u64, length: u64) -> Vec<u8>;
}

impl Image for Vec<u8> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, start: u64, length: u64) -> Vec<u8> {
        self[start as usize..][..length as usize].to_vec()
    }
}

impl Image for File {
    fn length(&self) -> u64 {
        self.metadata().unwrap().len()
    }

    fn read(&self, start: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        self.read_exact_at(&mut bytes, start).unwrap();
        bytes
    }
}

/// A record or part of one, with the name that faults give it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) start: u64,
    pub(crate) name: String,
    bytes: Vec<u8>,
}

impl View {
    pub(crate) fn read(
        image: &dyn Image,
        start: u64,
        length: u64,
        name: impl Into<String>,
    ) -> Result<Self> {
        let name = name.into();
        if start + length > image.length() {
            return fault(start, format!("{name}: ends outside of the image"));
        }
        Ok(Self { start, name, bytes: image.read(start, length) })
    }

    /// The part of `length` bytes that starts at byte position `position`.
    pub(crate) fn part(&self, position: usize, length: usize, name: impl Into<String>) -> Self {
        let bytes = self.bytes(position, length).to_vec();
        Self { start: self.at(position), name: name.into(), bytes }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Offset in the image of a byte position.
    pub(crate) fn at(&self, position: usize) -> u64 {
        self.start + position as u64 - 1
    }

    pub(crate) fn fault<T>(&self, position: usize, what: impl AsRef<str>) -> Result<T> {
        fault(self.at(position), format!("{}: {}", self.name, what.as_ref()))
    }

    pub(crate) fn bytes(&self, position: usize, length: usize) -> &[u8] {
        &self.bytes[position - 1..][..length]
    }

    pub(crate) fn byte(&self, position: usize) -> u8 {
        self.bytes[position - 1]
    }

    pub(crate) fn is(&self, position: usize, expected: &[u8], what: &str) -> Result<()> {
        let got = self.bytes(position, expected.len());
        if got == expected {
            return Ok(());
        }
        let (got, expected) = (got.escape_ascii(), expected.escape_ascii());
        self.fault(position, format!("{what}: expected \"{expected}\", got \"{got}\""))
    }

    /// All bytes of a field are `filler`.
    pub(crate) fn filled(
        &self,
        position: usize,
        length: usize,
        filler: u8,
        what: &str,
    ) -> Result<()> {
        let got = self.bytes(position, length).iter().position(|byte| *byte != filler);
        let Some(at) = got else { return Ok(()) };
        let got = self.byte(position + at);
        self.fault(position + at, format!("{what}: expected {filler:#04x}, got {got:#04x}"))
    }

    pub(crate) fn little32(&self, position: usize) -> u32 {
        u32::from_le_bytes(self.bytes(position, 4).try_into().unwrap())
    }

    pub(crate) fn big32(&self, position: usize) -> u32 {
        u32::from_be_bytes(self.bytes(position, 4).try_into().unwrap())
    }

    pub(crate) fn little16(&self, position: usize) -> u16 {
        u16::from_le_bytes(self.bytes(position, 2).try_into().unwrap())
    }

    pub(crate) fn big16(&self, position: usize) -> u16 {
        u16::from_be_bytes(self.bytes(position, 2).try_into().unwrap())
    }

    /// ECMA-119 7.3.3.
    pub(crate) fn both32(&self, position: usize, what: &str) -> Result<u32> {
        let (little, big) = (self.little32(position), self.big32(position + 4));
        if little == big {
            return Ok(little);
        }
        self.fault(position, format!("{what}: little-endian {little}, big-endian {big}"))
    }

    /// ECMA-119 7.2.3.
    pub(crate) fn both16(&self, position: usize, what: &str) -> Result<u16> {
        let (little, big) = (self.little16(position), self.big16(position + 2));
        if little == big {
            return Ok(little);
        }
        self.fault(position, format!("{what}: little-endian {little}, big-endian {big}"))
    }

    /// A date of 7 bytes (9.1.5) in seconds since 1970, UTC.
    pub(crate) fn short_date(&self, position: usize, what: &str) -> Result<i64> {
        let [year, month, day, hour, minute, second, zone] =
            *self.bytes(position, 7).first_chunk().unwrap();
        let fields = [month, day, hour, minute, second].map(i64::from);
        let seconds = seconds(1900 + i64::from(year), fields, zone as i8);
        seconds.map_or_else(|| self.fault(position, format!("{what}: no date")), Ok)
    }

    /// A date of 17 bytes (8.4.26.1); `None` where it is not given.
    pub(crate) fn long_date(&self, position: usize, what: &str) -> Result<Option<i64>> {
        let (digits, zone) = (self.bytes(position, 16), self.byte(position + 16) as i8);
        if digits.iter().all(|digit| *digit == b'0') && zone == 0 {
            return Ok(None);
        }
        let number = |range: std::ops::Range<usize>| {
            let digits = &digits[range];
            let all = digits.iter().all(u8::is_ascii_digit);
            let value = |value: i64, digit: &u8| value * 10 + i64::from(digit - b'0');
            all.then(|| digits.iter().fold(0, value))
        };
        let date = || {
            let pairs = [4, 6, 8, 10, 12].map(|at| number(at..at + 2));
            let [Some(month), Some(day), Some(hour), Some(minute), Some(second)] = pairs else {
                return None;
            };
            let year = number(0..4).filter(|year| *year > 0)?;
            number(14..16)?;
            seconds(year, [month, day, hour, minute, second], zone)
        };
        date()
            .map_or_else(|| self.fault(position, format!("{what}: no date")), |date| Ok(Some(date)))
    }
}

/// Month, day, hour, minute, second; `None` for what is no date. The zone counts
/// quarters of an hour, from -48 to 52.
fn seconds(year: i64, [month, day, hour, minute, second]: [i64; 5], zone: i8) -> Option<i64> {
    let leap = i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let lengths = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = lengths.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    let is_date = (1..=*length).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !is_date || !(-48..=52).contains(&zone) {
        return None;
    }
    // Days before the year, by the rule of leap years, counted from the year 1.
    let before = year - 1;
    let years_days = before * 365 + before / 4 - before / 100 + before / 400;
    let months_days: i64 = lengths[..month as usize - 1].iter().sum();
    let days = years_days + months_days + day - 1 - 719_162;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second - i64::from(zone) * 15 * 60)
}
