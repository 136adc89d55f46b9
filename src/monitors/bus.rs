//! The device by which the guest sees the disk.

use clap::ValueEnum;

/// The device that the guest sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Bus {
    /// virtio-blk: /dev/vdX in the guest
    #[default]
    Virtio,
    /// A hard disk on its own virtio-scsi controller: /dev/sdX in the guest
    Scsi,
    /// A USB stick on its own xHCI controller: /dev/sdX in the guest
    Usb,
    /// An NVM Express disk: /dev/nvmeXn1 in the guest
    Nvme,
    /// A CD-ROM on its own virtio-scsi controller: /dev/srX in the guest, open to its group cdrom
    Cdrom,
    /// A CD-ROM on a SATA controller, for guests without drivers for virtio, as Windows: /dev/srX
    /// in the guest, open to its group cdrom
    Sata,
}

impl Bus {
    /// Whether the device, or its controller, exists for PCI alone.
    pub(crate) fn needs_pci(self) -> bool {
        match self {
            Self::Usb | Self::Nvme | Self::Sata => true,
            Self::Virtio | Self::Scsi | Self::Cdrom => false,
        }
    }

    /// What people should know before they use this bus for secrets.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Cdrom | Self::Sata => Some(
                "guests give CD-ROM drives (/dev/sr0) to the group cdrom and to whoever sits at the \
                 console: they can read the whole disk, and desktops mount it with owners and \
                 modes of their own; prefer --bus virtio",
            ),
            Self::Virtio | Self::Scsi | Self::Usb | Self::Nvme => None,
        }
    }
}
