//! Numbers of devices.

use crate::error::{Error, ErrorKind, Result};

/// A device number as Linux packs it into 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    major: u32,
    minor: u32,
}

impl Device {
    /// Largest major number: 12 bits.
    pub const MAJOR_MAX: u32 = 0xfff;
    /// Largest minor number: 20 bits.
    pub const MINOR_MAX: u32 = 0xf_ffff;

    /// Checks the two numbers; [`ErrorKind::Unrepresentable`] says which is too large.
    pub fn new(major: u32, minor: u32) -> Result<Self> {
        let fault = if major > Self::MAJOR_MAX {
            format!("major number {major} is out of range: at most {}", Self::MAJOR_MAX)
        } else if minor > Self::MINOR_MAX {
            format!("minor number {minor} is out of range: at most {}", Self::MINOR_MAX)
        } else {
            return Ok(Self { major, minor });
        };
        Err(Error::new(ErrorKind::Unrepresentable, fault))
    }

    /// Major number: 0 to 4095.
    pub fn major(self) -> u32 {
        self.major
    }

    /// Minor number: 0 to 1,048,575.
    pub fn minor(self) -> u32 {
        self.minor
    }

    /// The number as file systems store it (`new_encode_dev` of Linux): the
    /// major number stands between the low 8 and the high 12 bits of the minor one.
    pub(crate) fn encode(self) -> u32 {
        let low = self.minor & 0xff;
        (self.minor - low) << 12 | self.major << 8 | low
    }

    /// The device of a stored number (`new_decode_dev` of Linux): any 32 bits are one.
    pub fn decode(number: u32) -> Self {
        Self {
            major: number >> 8 & Self::MAJOR_MAX,
            minor: number >> 12 & (Self::MINOR_MAX - 0xff) | number & 0xff,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn what_is_stored_is_the_same_device() {
        for (major, minor) in [(0, 0), (8, 255), (8, 256), (259, 65_535), (0xfff, 0xf_ffff)] {
            let device = Device::new(major, minor).unwrap();
            assert_eq!(Device::decode(device.encode()), device);
        }
        assert_eq!(Device::decode(u32::MAX), Device::new(0xfff, 0xf_ffff).unwrap());
    }
}
