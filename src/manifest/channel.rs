//! The ways of a credential, by the names that manifests give them.

/// A way by which a value reaches the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// A file on the disk.
    Disk,
    /// An OEM string of the SMBIOS tables.
    Smbios,
    /// An item of QEMU's firmware configuration device.
    FwCfg,
    /// A file behind the guest's own initrd.
    Initrd,
}

impl Channel {
    /// Whether it goes by the firmware.
    pub fn is_firmware(self) -> bool {
        match self {
            Self::Smbios | Self::FwCfg => true,
            Self::Disk | Self::Initrd => false,
        }
    }

    /// Whether it goes beside the disk, so that the guest has it before any disk.
    pub fn is_off_disk(self) -> bool {
        match self {
            Self::Smbios | Self::FwCfg | Self::Initrd => true,
            Self::Disk => false,
        }
    }

    /// The name in manifests, tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Smbios => "smbios",
            Self::FwCfg => "fw_cfg",
            Self::Initrd => "initrd",
        }
    }
}
