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
}

impl Channel {
    /// Whether it goes by the firmware, which the guest has before any disk.
    pub fn is_firmware(self) -> bool {
        match self {
            Self::Smbios | Self::FwCfg => true,
            Self::Disk => false,
        }
    }

    /// The name in manifests, tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Smbios => "smbios",
            Self::FwCfg => "fw_cfg",
        }
    }
}
