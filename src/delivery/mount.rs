//! How the guest's systemd finds and mounts the disk, without a change to the
//! guest: the credential `fstab.extra`, which holds lines for its fstab(5).

use super::device::Device;
use super::unlock;
use crate::manifest::{Format, MountPoint};
use crate::monitors::{Bus, Serial};
use crate::report::{Exit, Failure};

/// The key of a word on the kernel's command line that mounts a disk.
pub const MOUNT_WORD: &str = "systemd.mount-extra";

/// The disk as the guest sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// How the guest finds it; none where that is not known.
    device: Option<Device>,
    /// The type of its file system.
    kind: &'static str,
    /// Whether the next build gives it another UUID.
    has_random_uuid: bool,
}

impl Disk {
    /// An image that is not opened first. The guest finds it by its label, or an EROFS image
    /// without a label by its UUID, on every bus. SquashFS has neither, and ISO 9660 without a
    /// label has nothing of its own: these are found by the drive's serial.
    pub fn new(format: Format, label: Option<&str>, uuid: &str, serial: &Serial, bus: Bus) -> Self {
        let device = match (format, label) {
            (Format::Erofs | Format::Iso9660, Some(label)) => Some(Device::Label(label.to_owned())),
            (Format::Erofs, None) => Some(Device::Uuid(uuid.to_owned())),
            (Format::Squashfs, _) | (Format::Iso9660, None) => Device::of_serial(serial, bus),
        };
        Self { device, kind: format.name(), has_random_uuid: false }
    }

    /// Notes that each build gives the image a new UUID.
    #[must_use]
    pub fn with_random_uuid(self) -> Self {
        Self { has_random_uuid: true, ..self }
    }

    /// A disk that the guest opens before it mounts what is inside.
    pub fn opened(format: Format, serial: &Serial) -> Self {
        let device = Some(Device::Mapping(unlock::mapping(serial)));
        Self { device, kind: format.name(), has_random_uuid: false }
    }

    /// Whether the guest finds it by a name that the next build changes.
    pub(super) fn is_passing(&self) -> bool {
        match &self.device {
            Some(Device::Uuid(_)) => self.has_random_uuid,
            Some(Device::Label(_) | Device::Serial(_) | Device::Mapping(_)) | None => false,
        }
    }

    /// Whether it is found by the drive's serial alone.
    pub(super) fn is_by_serial(&self) -> bool {
        match &self.device {
            Some(Device::Serial(_)) => true,
            Some(Device::Label(_) | Device::Uuid(_) | Device::Mapping(_)) | None => false,
        }
    }

    /// How the guest finds it. An error of exit code 2 where that is not known.
    pub(crate) fn device(&self) -> Result<&Device, Failure> {
        self.device.as_ref().ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "the guest's name for a disk without a label on this bus is not known",
            )
            .hint("use --bus virtio, or a format and a label by which the disk is found")
        })
    }

    /// The type of its file system, as mount(8) calls it.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// The value of `fstab.extra`, which holds no secret. It mounts the disk at `point` and, with
    /// `has_store`, the credentials on it where systemd looks for them. `opened_by` are options
    /// that make the mount wait for what opens the disk.
    pub fn fstab(
        &self,
        point: &MountPoint,
        has_store: bool,
        opened_by: Option<&str>,
    ) -> Result<String, Failure> {
        let (what, kind, at) = (self.device()?.in_table(), self.kind, point.as_str());
        let needs = opened_by.map_or_else(String::new, |options| format!(",{options}"));
        let options = point.options();
        let disk = format!("{what} {at} {kind} {options}{needs} 0 0\n");
        if !has_store || point.is_credstore() {
            return Ok(disk);
        }
        let bind: Vec<_> = ["bind"].into_iter().chain(point.boot_options()).collect();
        let (store, bind) = (MountPoint::CREDSTORE, bind.join(","));
        Ok(format!("{disk}{at}/credstore {store} none {bind} 0 0\n"))
    }
}

/// The mounts of these lines of fstab(5), as words for the kernel's command line,
/// `systemd.mount-extra=WHAT:WHERE:TYPE:OPTIONS`, which systemd takes from version 254 on
/// (systemd-fstab-generator(8)).
///
/// Colons and quotes inside a field are escaped: colons separate the fields, and systemd removes
/// quotes from the command line's words (measured with systemd 257).
pub fn kernel_arguments(fstab: &str) -> Vec<String> {
    let table = [('\\', r"\x5c"), (':', r"\x3a"), ('"', r"\x22"), ('\'', r"\x27")];
    let escaped = |field: &str| {
        let escape =
            |text: String, (character, code): &(char, &str)| text.replace(*character, code);
        table.iter().fold(field.to_owned(), escape)
    };
    let word = |line: &str| {
        let fields: Vec<_> = line.split(' ').take(4).map(escaped).collect();
        format!("{MOUNT_WORD}={}", fields.join(":"))
    };
    fstab.lines().map(word).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn disk(format: Format, label: Option<&str>, bus: Bus) -> Disk {
        let serial = Serial::new("chimera").unwrap();
        Disk::new(format, label, "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81", &serial, bus)
    }

    #[test]
    fn lines_of_fstab() {
        let standard = MountPoint::standard();
        let erofs = disk(Format::Erofs, Some("CHIMERA"), Bus::Scsi);
        let line = "LABEL=CHIMERA /run/secrets erofs ro,nosuid,nodev,noexec 0 0\n";
        assert_eq!(erofs.fstab(&standard, false, None).unwrap(), line);
        let both = format!("{line}/run/secrets/credstore /run/credstore none bind 0 0\n");
        assert_eq!(erofs.fstab(&standard, true, None).unwrap(), both);
        let squashfs = disk(Format::Squashfs, Some("CHIMERA"), Bus::Virtio);
        let line = "/dev/disk/by-id/virtio-chimera /run/secrets squashfs \
                    ro,nosuid,nodev,noexec 0 0\n";
        assert_eq!(squashfs.fstab(&standard, false, None).unwrap(), line);
        let line = "UUID=6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81 /run/secrets erofs \
                    ro,nosuid,nodev,noexec 0 0\n";
        assert_eq!(
            disk(Format::Erofs, None, Bus::Usb).fstab(&standard, false, None).unwrap(),
            line
        );
    }

    #[test]
    fn lines_become_words_for_the_kernel() {
        let disk = disk(Format::Erofs, Some("A:B"), Bus::Virtio);
        let fstab = disk.fstab(&MountPoint::standard(), true, None).unwrap();
        let expected = [
            r"systemd.mount-extra=LABEL=A\x3aB:/run/secrets:erofs:ro,nosuid,nodev,noexec",
            "systemd.mount-extra=/run/secrets/credstore:/run/credstore:none:bind",
        ];
        assert_eq!(kernel_arguments(&fstab), expected);
    }

    #[test]
    fn an_encrypted_disk_waits_for_the_unit_that_opens_it() {
        let serial = Serial::new("chimera").unwrap();
        let line = "/dev/mapper/credimg-chimera /run/secrets erofs \
                    ro,nosuid,nodev,noexec,x-systemd.requires=credimg-chimera.service 0 0\n";
        let disk = Disk::opened(Format::Erofs, &serial);
        let unit = Some("x-systemd.requires=credimg-chimera.service");
        assert_eq!(disk.fstab(&MountPoint::standard(), false, unit).unwrap(), line);
    }

    #[test]
    fn a_disk_without_a_known_name_is_refused() {
        for bus in [Bus::Scsi, Bus::Usb, Bus::Nvme, Bus::Cdrom] {
            let unknown = disk(Format::Squashfs, Some("CHIMERA"), bus);
            let failure = unknown.fstab(&MountPoint::standard(), true, None).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
        }
    }
}
