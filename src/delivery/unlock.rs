//! How the guest's systemd opens an encrypted disk, without a change to the guest: one
//! credential holds the key, one a unit that opens the disk with it.

use std::fmt::Write;

use super::device::Device;
use super::units::escaped;
use crate::monitors::{Bus, Serial};

/// The start of the name of the credential that holds the key; the serial follows. With
/// it the name has 25 characters at most, for which `fw_cfg` has room.
const KEY_PREFIX: &str = "luks.";
/// What systemd takes for a unit's file; the unit's name follows (systemd.system-credentials(7)).
const UNIT_PREFIX: &str = "systemd.extra-unit.";

/// An encrypted disk, as the guest opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlock {
    serial: Serial,
    /// By what the LUKS header or the drive says of itself.
    device: Device,
    /// Length of the key in bytes.
    pub(super) key_bytes: u64,
}

impl Unlock {
    /// The disk with this serial, and its key's length. It is found by the label of its
    /// LUKS header, else by its serial, which only udev's name on the bus virtio tells, else
    /// by the header's UUID. The first two stay the same from build to build, so that
    /// this unit opens the image before the last as well.
    pub fn new(
        serial: &Serial,
        bus: Bus,
        header_label: Option<&str>,
        uuid: &str,
        key_bytes: u64,
    ) -> Self {
        let device = match header_label {
            Some(label) => Device::Label(label.to_owned()),
            None => Device::of_serial(serial, bus).unwrap_or_else(|| Device::Uuid(uuid.to_owned())),
        };
        Self { serial: serial.clone(), device, key_bytes }
    }

    /// The name of the credential that holds the key.
    pub fn key_name(&self) -> String {
        key_name(&self.serial)
    }

    /// The name of the credential that holds the unit.
    pub fn unit_credential(&self) -> String {
        unit_credential(&self.serial)
    }

    /// The unit, public. It runs what systemd's own generator would for a line of
    /// crypttab(5), but takes the key from a credential: systemd-cryptsetup(8), in the
    /// search path of units from systemd 256 on, which is also the first to take units
    /// from credentials.
    pub fn unit(&self) -> String {
        let (mapping, key) = (mapping(&self.serial), self.key_name());
        let device = self.device.path();
        let device_unit = escaped(&device);
        let mut text = String::new();
        // A String takes everything.
        let _ = write!(
            text,
            "[Unit]\n\
             Description=Open the secrets of this machine\n\
             DefaultDependencies=no\n\
             IgnoreOnIsolate=yes\n\
             BindsTo={device_unit}.device\n\
             After={device_unit}.device cryptsetup-pre.target systemd-udevd-kernel.socket\n\
             Before=cryptsetup.target umount.target\n\
             Conflicts=umount.target\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             RemainAfterExit=yes\n\
             ImportCredential={key}\n\
             ExecStart=systemd-cryptsetup attach {mapping} {device} %d/{key} \
             luks,read-only,headless\n\
             ExecStop=systemd-cryptsetup detach {mapping}\n"
        );
        text
    }
}

/// The name of the credential with the key of the disk with this serial.
pub fn key_name(serial: &Serial) -> String {
    format!("{KEY_PREFIX}{}", serial.as_str())
}

/// The name of the credential with the unit that opens the disk with this serial.
pub fn unit_credential(serial: &Serial) -> String {
    format!("{UNIT_PREFIX}{}", unit_name(serial))
}

/// The line of crypttab(5) for guests that take no unit from a credential: the disk is
/// found by its header's label, else by the drive's serial, the key where systemd puts
/// what comes by the firmware.
pub fn crypttab(serial: &Serial, header_label: Option<&str>) -> String {
    let device = match header_label {
        Some(label) => Device::Label(label.to_owned()),
        None => Device::Serial(serial.clone()),
    };
    let device = device.in_table();
    let (mapping, key) = (mapping(serial), key_name(serial));
    format!("{mapping} {device} /run/credentials/@system/{key} luks,read-only,headless\n")
}

/// The name of the unit that opens the disk with this serial.
pub(super) fn unit_name(serial: &Serial) -> String {
    format!("{}.service", mapping(serial))
}

/// What the disk with this serial is called in `/dev/mapper` when it is open.
pub(super) fn mapping(serial: &Serial) -> String {
    format!("credimg-{}", serial.as_str())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::delivery::limits::ITEM_NAME_MAX;
    use crate::manifest::is_credential_name;

    #[test]
    fn names_fit_for_every_serial() {
        let serial = Serial::new(&"x".repeat(Serial::MAX_BYTES)).unwrap();
        let unlock = Unlock::new(&serial, Bus::Virtio, None, "", 64);
        assert!(unlock.key_name().len() <= ITEM_NAME_MAX);
        assert!(is_credential_name(&unlock.unit_credential()));
    }
}
