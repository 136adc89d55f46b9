//! The machine that QEMU emulates, as far as it decides what the machine can be given.

use std::str::FromStr;

use super::Channel;

/// A machine type of QEMU (`-machine`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineType {
    /// The i440FX PC of x86: PCI, SMBIOS tables and fw_cfg.
    Pc,
    /// The Q35 PC of x86: PCI Express, SMBIOS tables and fw_cfg.
    Q35,
    /// The minimal machine of x86: virtio-mmio and fw_cfg, no PCI unless asked, never SMBIOS tables.
    Microvm,
    /// The virtual board of Arm and others, started without UEFI: PCI Express and fw_cfg.
    Virt,
    /// The virtual board with UEFI, whose firmware hands on SMBIOS tables.
    VirtUefi,
}

impl MachineType {
    /// The names that options take.
    pub const NAMES: &str = "pc, q35, microvm, virt or virt-uefi";

    /// The name in options and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pc => "pc",
            Self::Q35 => "q35",
            Self::Microvm => "microvm",
            Self::Virt => "virt",
            Self::VirtUefi => "virt-uefi",
        }
    }

    /// Whether its guest gets what goes by `channel`; if not, the reason, in lower case
    /// and without a full stop.
    pub fn carries(self, channel: Channel) -> Result<(), &'static str> {
        match (self, channel) {
            (_, Channel::Disk | Channel::FwCfg)
            | (Self::Pc | Self::Q35 | Self::VirtUefi, Channel::Smbios) => Ok(()),
            (Self::Microvm, Channel::Smbios) => Err("it has no SMBIOS tables"),
            (Self::Virt, Channel::Smbios) => Err("without UEFI it has no SMBIOS tables"),
        }
    }
}

impl FromStr for MachineType {
    type Err = String;

    /// Reads an option's value: one of [`MachineType::NAMES`], or a name with a version
    /// as QEMU and libvirt write it: `pc-i440fx-9.0`, `pc-q35-7.2`, `virt-9.1`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_version = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
        let family = match text.rsplit_once('-') {
            Some((family, version)) if is_version(version) => family,
            _ => text,
        };
        match family {
            "pc" | "pc-i440fx" => Ok(Self::Pc),
            "q35" | "pc-q35" => Ok(Self::Q35),
            "microvm" => Ok(Self::Microvm),
            "virt" => Ok(Self::Virt),
            "virt-uefi" => Ok(Self::VirtUefi),
            _ => Err(format!("expected {}", Self::NAMES)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_and_without_a_version() {
        for (text, expected) in [
            ("pc", MachineType::Pc),
            ("pc-i440fx-9.0", MachineType::Pc),
            ("q35", MachineType::Q35),
            ("pc-q35-7.2", MachineType::Q35),
            ("microvm", MachineType::Microvm),
            ("virt", MachineType::Virt),
            ("virt-9.1", MachineType::Virt),
            ("virt-uefi", MachineType::VirtUefi),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for bad in ["", "isapc", "pc-", "q35-", "virt-x", "raspi3b", "none"] {
            assert!(bad.parse::<MachineType>().is_err(), "{bad}");
        }
    }
}
