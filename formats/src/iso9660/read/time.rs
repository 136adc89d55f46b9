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
        date.seconds()?.checked_sub(zone_seconds(offset))
    }
}

/// The time of a record; what is none is that of 1970.
pub(super) fn of_record(time: RecordTime) -> Timestamp {
    Timestamp::from_seconds(time.seconds().unwrap_or_default())
}

/// A time of 17 bytes, hundredths of a second and all; none where it is not given or no date.
pub(super) fn of_volume(time: VolumeTime) -> Option<Timestamp> {
    let VolumeTime { digits, offset } = time;
    let local = VolumeTime { digits, offset: 0 }.seconds()?;
    let [.., tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = digits else { return None };
    let hundredths = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
    let seconds = local.checked_sub(zone_seconds(offset))?;
    Timestamp::new(seconds, hundredths * 10_000_000).ok()
}

/// The time at the start of `bytes`, in the long form or the short one.
pub(super) fn of_field(bytes: &[u8], is_long: bool) -> Option<Timestamp> {
    if is_long {
        return of_volume(VolumeTime::read_from_prefix(bytes).ok()?.0);
    }
    let (time, _) = RecordTime::read_from_prefix(bytes).ok()?;
    Some(of_record(time))
}

/// What is no zone counts as none, as for Linux (`iso_date`): genisoimage writes such ones.
fn zone_seconds(offset: u8) -> i64 {
    let quarters = offset.cast_signed();
    if ZONES.contains(&quarters) { i64::from(quarters) * 15 * 60 } else { 0 }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn zones_are_taken_off_and_what_is_none_is_passed_over() {
        let time = RecordTime {
            year: 123,
            month: 11,
            day: 14,
            hour: 22,
            minute: 13,
            second: 20,
            offset: 0,
        };
        assert_eq!(time.seconds(), Some(1_700_000_000));
        for (quarters, seconds) in [(4_i8, -3600), (23, -20_700), (-48, 43_200), (53, 0), (-96, 0)]
        {
            let offset = quarters.cast_unsigned();
            let got = RecordTime { offset, ..time }.seconds();
            assert_eq!(got, Some(1_700_000_000 + seconds), "{quarters}");
        }
        let digits = *b"2023111422132099";
        let expected = Timestamp::new(1_699_996_400, 990_000_000).unwrap();
        assert_eq!(of_volume(VolumeTime { digits, offset: 4 }), Some(expected));
        assert_eq!(of_volume(VolumeTime { digits: [b'0'; 16], offset: 0 }), None);
        assert_eq!(of_record(RecordTime { month: 0, ..time }), Timestamp::default());
    }
}
