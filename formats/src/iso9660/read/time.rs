//! Times of records, which are of any zone.

use zerocopy::FromBytes;

use crate::calendar::DateTime;
use crate::iso9660::format::{RecordTime, VolumeTime};
use crate::tree::Timestamp;

/// The zones that there are, in quarters of an hour from Greenwich (ECMA-119 9.1.5).
pub(super) const ZONES: std::ops::RangeInclusive<i8> = -48..=52;

impl RecordTime {
    /// Seconds since 1970-01-01 00:00:00 UTC; none where it is not given or no date.
    pub(super) fn seconds(self) -> Option<i64> {
        let Self { year, month, day, hour, minute, second, offset } = self;
        let date = DateTime { year: 1900 + u16::from(year), month, day, hour, minute, second };
        date.seconds()?.checked_sub(zone_seconds(offset)?)
    }
}

/// The time of a record; what is none is that of 1970.
pub(super) fn of_record(time: RecordTime) -> Timestamp {
    Timestamp { seconds: time.seconds().unwrap_or_default(), nanoseconds: 0 }
}

/// A time of 17 bytes, hundredths of a second and all; none where it is not given or no date.
pub(super) fn of_volume(time: VolumeTime) -> Option<Timestamp> {
    let VolumeTime { digits, offset } = time;
    let local = VolumeTime { digits, offset: 0 }.seconds()?;
    let [.., tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = digits else { return None };
    let hundredths = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
    let seconds = local.checked_sub(zone_seconds(offset)?)?;
    Some(Timestamp { seconds, nanoseconds: hundredths * 10_000_000 })
}

/// The time at the start of `bytes`, in the long form or the short one.
pub(super) fn of_field(bytes: &[u8], is_long: bool) -> Option<Timestamp> {
    if is_long {
        return of_volume(VolumeTime::read_from_prefix(bytes).ok()?.0);
    }
    let (time, _) = RecordTime::read_from_prefix(bytes).ok()?;
    Some(of_record(time))
}

fn zone_seconds(offset: u8) -> Option<i64> {
    let quarters = offset.cast_signed();
    ZONES.contains(&quarters).then(|| i64::from(quarters) * 15 * 60)
}
