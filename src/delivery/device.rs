//! How the guest finds a disk, and how that is written in its files.

use crate::monitors::{Bus, Serial};

/// What udev's name of a disk begins with that it makes of the serial on the bus virtio.
pub(crate) const SERIAL_START: &str = "/dev/disk/by-id/virtio-";

/// How the guest finds a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// The label of its file system, or of its LUKS header.
    Label(String),
    /// The UUID of its file system, or of its LUKS header.
    Uuid(String),
    /// The serial of a drive on the bus virtio.
    Serial(Serial),
    /// The name of an opened disk in `/dev/mapper`.
    Mapping(String),
}

impl Device {
    /// The drive with this serial. None on a bus other than virtio: udev's names for disks by their
    /// serials are stable on virtio alone.
    pub fn of_serial(serial: &Serial, bus: Bus) -> Option<Self> {
        match bus {
            Bus::Virtio => Some(Self::Serial(serial.clone())),
            Bus::Scsi | Bus::Usb | Bus::Nvme | Bus::Cdrom | Bus::Sata => None,
        }
    }

    /// The device as fstab(5), crypttab(5) and veritytab(5) write it.
    pub(super) fn in_table(&self) -> String {
        match self {
            Self::Label(label) => format!("LABEL={label}"),
            Self::Uuid(uuid) => format!("UUID={uuid}"),
            Self::Serial(_) | Self::Mapping(_) => self.path(),
        }
    }

    /// The device's path, for units, which know neither `LABEL=` nor `UUID=`.
    pub fn path(&self) -> String {
        match self {
            Self::Label(label) => format!("/dev/disk/by-label/{label}"),
            Self::Uuid(uuid) => format!("/dev/disk/by-uuid/{uuid}"),
            Self::Serial(serial) => format!("{SERIAL_START}{}", serial.as_str()),
            Self::Mapping(name) => format!("/dev/mapper/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn devices_have_names_and_paths() {
        let serial = Device::Serial(Serial::new("a").unwrap());
        for (device, name, path) in [
            (Device::Label("A=B".to_owned()), "LABEL=A=B", "/dev/disk/by-label/A=B"),
            (Device::Uuid("1-2".to_owned()), "UUID=1-2", "/dev/disk/by-uuid/1-2"),
            (serial, "/dev/disk/by-id/virtio-a", "/dev/disk/by-id/virtio-a"),
            (Device::Mapping("c".to_owned()), "/dev/mapper/c", "/dev/mapper/c"),
        ] {
            assert_eq!((device.in_table().as_str(), device.path().as_str()), (name, path));
        }
    }
}
