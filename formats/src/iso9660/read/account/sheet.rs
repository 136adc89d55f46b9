//! A record as people read it: its fields, and what is wrong with them.

use zerocopy::{FromBytes, big_endian, little_endian};

use crate::error::Result;
use crate::iso9660::format::{BothU16, BothU32, RecordTime, VolumeTime};
use crate::iso9660::read::name;
use crate::iso9660::read::time::{self, ZONES};
use crate::read::{Account, Field, Problem, Region, RegionKind};

/// Takes the fields of a record one after another.
pub(super) struct Sheet<'b> {
    pub(super) offset_bytes: u64,
    bytes: &'b [u8],
    taken: usize,
    /// Whether anybody reads the values of fields: making those of all records takes longer than
    /// all else.
    wants_text: bool,
    fields: Vec<Field>,
    problems: Vec<Problem>,
}

impl<'b> Sheet<'b> {
    pub(super) fn new(offset_bytes: u64, bytes: &'b [u8], wants_text: bool) -> Self {
        let (fields, problems) = (Vec::new(), Vec::new());
        Self { offset_bytes, bytes, taken: 0, wants_text, fields, problems }
    }

    /// The byte of the image at which the next field stands.
    pub(super) fn at(&self) -> u64 {
        self.offset_bytes + self.taken as u64
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.taken)
    }

    pub(super) fn problem(&mut self, offset_bytes: u64, message: impl Into<String>) {
        let problem = Problem { offset_bytes: Some(offset_bytes), message: message.into() };
        self.problems.push(problem);
    }

    /// Tells what the record is and what is wrong with it.
    pub(super) fn tell(self, title: String, account: &mut dyn Account) -> Result<()> {
        // An area in which fields go on may be said to have no byte.
        if !self.bytes.is_empty() {
            account.region(Region {
                offset_bytes: self.offset_bytes,
                length_bytes: self.bytes.len() as u64,
                kind: RegionKind::Record,
                title,
                fields: self.fields,
                notes: Vec::new(),
            })?;
        }
        self.problems.into_iter().try_for_each(|problem| account.problem(problem))
    }

    /// The bytes of the next field, fewer where the record ends.
    fn take(&mut self, length: usize) -> &'b [u8] {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let taken = rest.get(..length).unwrap_or(rest);
        self.taken += taken.len();
        taken
    }

    fn push(&mut self, length: usize, name: &'static str, value: impl FnOnce() -> Option<String>) {
        if length > 0 {
            let value = if self.wants_text { value() } else { None };
            self.fields.push(Field { length_bytes: length as u64, name, value });
        }
    }

    /// A field whose bytes nobody shows.
    pub(super) fn hidden(&mut self, name: &'static str, length: usize) -> &'b [u8] {
        let bytes = self.take(length);
        self.push(bytes.len(), name, || None);
        bytes
    }

    /// A field with a value of its own.
    pub(super) fn shown(&mut self, name: &'static str, length: usize, value: String) -> &'b [u8] {
        let bytes = self.take(length);
        self.push(bytes.len(), name, || Some(value));
        bytes
    }

    /// A field whose value is made of its bytes.
    pub(super) fn named(
        &mut self,
        name: &'static str,
        length: usize,
        show: impl Fn(&[u8]) -> String,
    ) -> &'b [u8] {
        let bytes = self.take(length);
        self.push(bytes.len(), name, || Some(show(bytes)));
        bytes
    }

    /// Where the record is, and how long.
    pub(super) fn extent(&self) -> (u64, u64) {
        (self.offset_bytes, self.bytes.len() as u64)
    }

    /// What has to be zero.
    pub(super) fn zeros(&mut self, name: &'static str, length: usize) {
        let at = self.at();
        let bytes = self.take(length);
        if let Some(place) = bytes.iter().position(|byte| *byte != 0) {
            self.problem(at + place as u64, format!("{name}: expected zeros, got another byte"));
            self.push(bytes.len(), name, || None);
        } else {
            self.push(bytes.len(), name, || Some("zeros".to_owned()));
        }
    }

    pub(super) fn byte(&mut self, name: &'static str) -> u8 {
        let value = self.take(1).first().copied().unwrap_or_default();
        self.push(1, name, || Some(value.to_string()));
        value
    }

    pub(super) fn flags(&mut self, name: &'static str) -> u8 {
        let value = self.take(1).first().copied().unwrap_or_default();
        self.push(1, name, || Some(format!("{value:#04x}")));
        value
    }

    pub(super) fn little32(&mut self, name: &'static str) -> u32 {
        let bytes = self.take(4);
        let value = little_endian::U32::read_from_bytes(bytes).map_or(0, little_endian::U32::get);
        self.push(bytes.len(), name, || Some(value.to_string()));
        value
    }

    pub(super) fn big32(&mut self, name: &'static str) -> u32 {
        let bytes = self.take(4);
        let value = big_endian::U32::read_from_bytes(bytes).map_or(0, big_endian::U32::get);
        self.push(bytes.len(), name, || Some(value.to_string()));
        value
    }

    /// A number of 16 bits in both byte orders.
    pub(super) fn both16(&mut self, name: &'static str) -> u16 {
        let at = self.at();
        let bytes = self.take(size_of::<BothU16>());
        let Ok(number) = BothU16::read_from_bytes(bytes) else { return 0 };
        let (little, big) = (number.get(), number.big());
        self.halves(at, name, little.into(), big.into());
        self.push(bytes.len(), name, || Some(little.to_string()));
        little
    }

    /// A number of 32 bits in both byte orders.
    pub(super) fn both32(&mut self, name: &'static str) -> u32 {
        self.both32_as(name, |number| number.to_string())
    }

    pub(super) fn both32_as(&mut self, name: &'static str, show: impl Fn(u32) -> String) -> u32 {
        let at = self.at();
        let bytes = self.take(size_of::<BothU32>());
        let Ok(number) = BothU32::read_from_bytes(bytes) else { return 0 };
        let (little, big) = (number.get(), number.big());
        self.halves(at, name, little, big);
        self.push(bytes.len(), name, || Some(show(little)));
        little
    }

    fn halves(&mut self, at: u64, name: &'static str, little: u32, big: u32) {
        if little != big {
            let message =
                format!("{name}: the little-endian half says {little}, the big-endian one {big}");
            self.problem(at, message);
        }
    }

    /// Text without the spaces behind it.
    pub(super) fn text(&mut self, name: &'static str, length: usize) -> &'b [u8] {
        let bytes = self.take(length);
        let value = format!("\"{}\"", bytes.trim_ascii_end().escape_ascii());
        self.push(bytes.len(), name, || Some(value));
        bytes
    }

    /// Text of UCS-2 without the spaces behind it.
    pub(super) fn wide_text(&mut self, name: &'static str, length: usize) -> &'b [u8] {
        let bytes = self.take(length);
        let text = name::wide(bytes);
        let value = format!("\"{}\"", text.trim_end().escape_debug());
        self.push(bytes.len(), name, || Some(value));
        bytes
    }

    /// The time of a record (ECMA-119 9.1.5).
    pub(super) fn record_time(&mut self, name: &'static str) {
        let at = self.at();
        let bytes = self.take(size_of::<RecordTime>());
        let Ok(time) = RecordTime::read_from_bytes(bytes) else { return };
        let RecordTime { year, month, day, hour, minute, second, offset } = time;
        let is_given = bytes.iter().any(|byte| *byte != 0);
        if is_given && time.seconds().is_none() {
            self.problem(at, format!("{name}: expected a date, got none that there is"));
        }
        self.check_zone(at + 6, name, offset);
        self.push(bytes.len(), name, || {
            let (year, zone) = (1900 + u16::from(year), zone(offset));
            let date = || {
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} {zone}")
            };
            Some(if is_given { date() } else { "not given".to_owned() })
        });
    }

    fn check_zone(&mut self, at: u64, name: &'static str, offset: u8) {
        let quarters = offset.cast_signed();
        if !ZONES.contains(&quarters) {
            self.problem(at, format!("{name}: expected a zone from -48 to 52, got {quarters}"));
        }
    }

    /// The time of a volume descriptor (8.4.26.1).
    pub(super) fn volume_time(&mut self, name: &'static str) {
        let at = self.at();
        let bytes = self.take(size_of::<VolumeTime>());
        let Ok(time) = VolumeTime::read_from_bytes(bytes) else { return };
        // Some write zeros, others digits of zero.
        let is_given = time.digits.iter().any(|digit| !matches!(digit, b'0' | 0));
        if is_given && time::of_volume(time).is_none() {
            self.problem(at, format!("{name}: expected a date, got none that there is"));
        }
        self.check_zone(at + 16, name, time.offset);
        let value = format!("{} {}", time.digits.escape_ascii(), zone(time.offset));
        let value = if is_given { value } else { "not given".to_owned() };
        self.push(bytes.len(), name, || Some(value));
    }
}

fn zone(offset: u8) -> String {
    let quarters = offset.cast_signed();
    if !ZONES.contains(&quarters) {
        return format!("zone {quarters}");
    }
    let minutes = i16::from(quarters).unsigned_abs() * 15;
    let sign = if quarters < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
}
