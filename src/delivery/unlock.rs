//! How the guest's systemd opens a disk that is encrypted or has a hash tree, without a change to
//! the guest: one credential holds a unit that opens the disk, and one the key.

use std::fmt::Write;

use super::device::Device;
use super::route::Teller;
use super::units::{GuestFile, escaped};
use super::verity::{self, HashTree};
use crate::manifest::{Channel, MountPoint};
use crate::monitors::{Bus, Serial};

/// The name of the credential with the key is this prefix and the disk's serial: at most 25
/// characters, for which `fw_cfg` has room.
const KEY_PREFIX: &str = "luks.";
/// A credential with this prefix is a unit for systemd; the unit's name follows
/// (systemd.system-credentials(7)).
const UNIT_PREFIX: &str = "systemd.extra-unit.";

/// The unit's name if it goes by `fw_cfg`, which has no room for a longer one. It need not name the
/// disk: a machine has one such unit, as it has one credential that tells of mounts.
const SHORT_NAME: &str = "c.service";

/// A disk that the guest opens before it mounts what is inside: one that is encrypted, one with a
/// hash tree, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlock {
    serial: Serial,
    /// How the guest finds the disk.
    device: Device,
    /// The hash tree that the guest checks the disk by, if it has one.
    tree: Option<HashTree>,
    /// Length of the key in bytes, if the disk is encrypted.
    key_bytes: Option<u64>,
}

impl Unlock {
    /// An encrypted disk. The guest finds it by the label of its LUKS header; without a label by
    /// its serial, which udev names on the bus virtio alone; else by the header's UUID. Label and
    /// serial stay the same from build to build, so a unit of theirs opens earlier and later images
    /// as well.
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
        Self { serial: serial.clone(), device, tree: None, key_bytes: Some(key_bytes) }
    }

    /// A disk with a hash tree. If it is encrypted as well, its key has `key_bytes` bytes.
    pub fn checked(
        serial: &Serial,
        device: Device,
        tree: HashTree,
        key_bytes: Option<u64>,
    ) -> Self {
        Self { serial: serial.clone(), device, tree: Some(tree), key_bytes }
    }

    /// Replaces the tree, which stood for one that was not written yet.
    #[must_use]
    pub fn with_tree(self, tree: HashTree) -> Self {
        Self { tree: Some(tree), ..self }
    }

    /// How the guest finds the disk.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Length of the key in bytes, if the disk is encrypted.
    pub fn key_bytes(&self) -> Option<u64> {
        self.key_bytes
    }

    /// Whether the disk has a hash tree whose root hash is signed.
    pub(super) fn is_signed(&self) -> bool {
        self.tree.as_ref().is_some_and(|tree| tree.signature.is_some())
    }

    /// Whether the disk is encrypted.
    pub fn has_key(&self) -> bool {
        self.key_bytes.is_some()
    }

    /// The name of the credential that holds the key.
    pub fn key_name(&self) -> String {
        key_name(&self.serial)
    }

    /// The name of the credential that holds the unit, if it goes by `by`.
    pub fn unit_credential(&self, by: Teller) -> String {
        format!("{UNIT_PREFIX}{}", self.unit_name(by))
    }

    /// The name of the unit, if it goes by `by`.
    pub(super) fn unit_name(&self, by: Teller) -> String {
        match by {
            Teller::Channel(Channel::FwCfg) => SHORT_NAME.to_owned(),
            Teller::Channel(Channel::Smbios | Channel::Initrd | Channel::Disk)
            | Teller::Argument
            | Teller::KernelLine => format!("{}.service", mapping(&self.serial)),
        }
    }

    /// The options of fstab(5) by which the mount at `point` waits for the unit. A unit that checks
    /// a disk has a timeout of its own. systemd's timeout for the mapping would begin with the
    /// boot, so it is switched off.
    pub(super) fn mount_options(&self, by: Teller, point: &MountPoint) -> String {
        const TIMEOUT: &str = "x-systemd.device-timeout";
        let needs = format!("x-systemd.requires={}", self.unit_name(by));
        let is_given = point.options().contains(TIMEOUT);
        if self.tree.is_some() && !is_given { format!("{needs},{TIMEOUT}=0") } else { needs }
    }

    /// The text of the unit, which holds no secret. It runs the programs that systemd's generators
    /// would run for lines of crypttab(5) and veritytab(5), but takes the key from a credential. It
    /// names systemd-cryptsetup(8) without a path, as systemd 256 has it in the search path of
    /// units; that is also the first version to take units from credentials.
    pub fn unit(&self) -> String {
        let has_tree = self.tree.is_some();
        let (waits, before) = match (has_tree, self.has_key()) {
            (false, _) => (self.waits_for_device(), "cryptsetup.target"),
            (true, false) => (WAITS_FOR_UDEV.to_owned(), "veritysetup.target"),
            (true, true) => (WAITS_FOR_UDEV.to_owned(), "veritysetup.target cryptsetup.target"),
        };
        let mut text = format!(
            "[Unit]\n\
             Description=Open the secrets of this machine\n\
             DefaultDependencies=no\n\
             IgnoreOnIsolate=yes\n\
             {waits}\
             Before={before} umount.target\n\
             Conflicts=umount.target\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             RemainAfterExit=yes\n"
        );
        // A String takes everything.
        let _ = match &self.tree {
            None => write!(text, "{}", self.encrypted(&self.device.path(), "ExecStop")),
            Some(tree) if !self.has_key() => {
                let mapping = mapping(&self.serial);
                let commands = verity::commands(tree, &self.device, &mapping);
                write!(
                    text,
                    "StandardOutput=null\nStandardError=journal\n{commands}{}",
                    verity::end(&mapping)
                )
            }
            Some(tree) => {
                let inner = verity::inner(&self.serial);
                let commands = verity::commands(tree, &self.device, &inner);
                let encrypted = self.encrypted(&format!("/dev/mapper/{inner}"), "ExecStopPost");
                let end = verity::end(&inner);
                write!(
                    text,
                    "StandardOutput=null\nStandardError=journal\n{commands}{encrypted}{end}"
                )
            }
        };
        text
    }

    /// The lines for crypttab(5), if the disk is encrypted, and for veritytab(5), if it has this
    /// hash tree. They are for guests that take no unit from a credential. The path of the key is
    /// where systemd puts credentials of the firmware.
    pub fn tables(&self, tree: Option<&HashTree>) -> Vec<GuestFile> {
        let mut tables = Vec::new();
        let (mapping, mut device) = (mapping(&self.serial), self.device.clone());
        if let Some(tree) = tree {
            let checked =
                if self.has_key() { verity::inner(&self.serial) } else { mapping.clone() };
            let line = verity::veritytab(tree, &device, &checked);
            tables.push(GuestFile::table("/etc/veritytab", line));
            device = Device::Mapping(checked);
        }
        if self.has_key() {
            let (device, key) = (device.in_table(), self.key_name());
            let line = format!(
                "{mapping} {device} /run/credentials/@system/{key} luks,read-only,headless\n"
            );
            tables.push(GuestFile::table("/etc/crypttab", line));
        }
        tables
    }

    /// The lines of a unit that starts when the device appears, and stops with it.
    fn waits_for_device(&self) -> String {
        let device = escaped(&self.device.path());
        format!(
            "BindsTo={device}.device\n\
             After={device}.device cryptsetup-pre.target systemd-udevd-kernel.socket\n"
        )
    }

    /// The lines of a unit that decrypt `device`, and the line `end` that closes it again.
    fn encrypted(&self, device: &str, end: &str) -> String {
        let (mapping, key) = (mapping(&self.serial), self.key_name());
        format!(
            "ImportCredential={key}\n\
             ExecStart=systemd-cryptsetup attach {mapping} {device} %d/{key} \
             luks,read-only,headless\n\
             {end}=systemd-cryptsetup detach {mapping}\n"
        )
    }
}

/// The lines of a unit that waits for the disk by itself. It cannot depend on a disk's label, as
/// the opened disk has the same label.
const WAITS_FOR_UDEV: &str = "Wants=systemd-udevd.service\n\
    After=systemd-udevd.service systemd-udev-trigger.service veritysetup-pre.target \
    cryptsetup-pre.target\n";

/// The name of the credential that holds the key of the disk with this serial.
pub fn key_name(serial: &Serial) -> String {
    format!("{KEY_PREFIX}{}", serial.as_str())
}

/// The name in `/dev/mapper` of the opened disk that has this serial.
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
        let by = Teller::Channel;
        assert!(unlock.unit_credential(by(Channel::FwCfg)).len() <= ITEM_NAME_MAX);
        assert!(is_credential_name(&unlock.unit_credential(by(Channel::Smbios))));
    }
}
