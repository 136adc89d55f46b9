//! The machine that QEMU emulates, as far as it decides what the machine can be given.

use std::str::FromStr;

use super::Firmware;
use crate::manifest::Channel;
use crate::report::{Exit, Failure};

/// A machine type of QEMU (`-machine`) with those of its properties that count here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineType {
    /// What is emulated.
    pub board: Board,
    /// Whether it has ACPI tables, by which guests of x86 find the fw_cfg device.
    has_acpi: bool,
    /// Whether PCI was asked for, which counts for a microvm alone.
    asks_pci: bool,
}

/// What a machine type emulates, whatever its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
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
    /// The virtual machine of IBM Z: channel devices and PCI, no firmware that carries anything.
    S390,
    /// The virtual machine of POWER: PCI, no firmware that carries anything.
    Pseries,
    /// A board of which nothing is known but that it has a disk.
    Unknown,
}

impl Board {
    /// Whether its processor is one of x86.
    pub(super) fn is_x86(self) -> bool {
        match self {
            Self::Pc | Self::Q35 | Self::Microvm => true,
            Self::Virt | Self::VirtUefi | Self::S390 | Self::Pseries | Self::Unknown => false,
        }
    }

    /// Whether it is the virtual board, with or without UEFI.
    fn is_virt(self) -> bool {
        match self {
            Self::Virt | Self::VirtUefi => true,
            Self::Pc | Self::Q35 | Self::Microvm | Self::S390 | Self::Pseries | Self::Unknown => {
                false
            }
        }
    }

    /// The board of a machine type's name.
    pub(super) fn of_machine(name: &str) -> Option<Self> {
        // The longest first: each name is that itself, or goes on with a version.
        let families = [
            ("pc-i440fx", Self::Pc),
            ("pc-q35", Self::Q35),
            ("pc", Self::Pc),
            ("q35", Self::Q35),
            ("ubuntu-q35", Self::Q35),
            ("ubuntu", Self::Pc),
            ("microvm", Self::Microvm),
            ("virt-uefi", Self::VirtUefi),
            ("virt", Self::Virt),
            ("s390-ccw-virtio", Self::S390),
            ("pseries", Self::Pseries),
        ];
        families.into_iter().find_map(|(family, board)| {
            let rest = name.strip_prefix(family)?;
            // Proxmox VE's own versions follow a plus sign.
            let is_version = rest.strip_prefix(['-', '+']).is_some_and(|it| !it.is_empty());
            (rest.is_empty() || is_version).then_some(board)
        })
    }
}

impl MachineType {
    /// What options take.
    pub const NAMES: &str =
        "pc, q35, microvm, virt, virt-uefi, s390-ccw-virtio, pseries or a name with a version";
    /// A machine type of which nothing is known.
    pub const UNKNOWN: Self = Self::new(Board::Unknown);

    /// The machine as it is without properties.
    pub const fn new(board: Board) -> Self {
        Self { board, has_acpi: true, asks_pci: false }
    }

    /// Takes one more property, as `-machine` has it.
    #[must_use]
    pub fn with(self, key: &str, value: &str) -> Self {
        let is_on = value == "on";
        match key {
            // "auto" is on.
            "acpi" => Self { has_acpi: is_on || value == "auto", ..self },
            "pcie" => Self { asks_pci: is_on, ..self },
            _ => self,
        }
    }

    /// The name in options and messages.
    pub fn name(self) -> &'static str {
        match self.board {
            Board::Pc => "pc",
            Board::Q35 => "q35",
            Board::Microvm => "microvm",
            Board::Virt => "virt",
            Board::VirtUefi => "virt-uefi",
            Board::S390 => "s390-ccw-virtio",
            Board::Pseries => "pseries",
            Board::Unknown => "an unknown machine type",
        }
    }

    /// Whether `other`, which is read from arguments, may be this machine: those do not always
    /// tell what it is, or which firmware it has.
    pub fn is_like(self, other: Self) -> bool {
        let is_virt = self.board.is_virt() && other.board.is_virt();
        is_virt || other.board == Board::Unknown || self.board == other.board
    }

    /// Whether its guest gets what goes by `channel`; if not, the reason, in lower case
    /// and without a full stop.
    pub fn carries(self, channel: Channel) -> Result<(), &'static str> {
        match (self.board, channel) {
            (Board::Pc | Board::Q35 | Board::Microvm, Channel::FwCfg) if !self.has_acpi => {
                Err("without ACPI its guest finds no fw_cfg device")
            }
            (_, Channel::Disk | Channel::Initrd)
            | (Board::Pc | Board::Q35 | Board::VirtUefi, Channel::Smbios | Channel::FwCfg)
            | (Board::Microvm | Board::Virt, Channel::FwCfg) => Ok(()),
            (Board::Microvm, Channel::Smbios) => Err("it has no SMBIOS tables"),
            (Board::Virt, Channel::Smbios) => Err("without UEFI it has no SMBIOS tables"),
            (Board::S390 | Board::Pseries, Channel::Smbios | Channel::FwCfg) => {
                Err("it has neither SMBIOS tables nor fw_cfg")
            }
            (Board::Unknown, Channel::Smbios | Channel::FwCfg) => {
                Err("what its firmware carries is not known")
            }
        }
    }

    /// An error where files are beside an image that this machine's guest would not get. A
    /// build plans around them: these were made for another machine.
    pub fn require_carried(self, firmware: &Firmware) -> Result<(), Failure> {
        let Firmware { smbios, fw_cfg, platform, credentials: _, public: _ } = firmware;
        let has_strings = !smbios.is_empty() || platform.is_some();
        for (channel, is_used) in
            [(Channel::Smbios, has_strings), (Channel::FwCfg, !fw_cfg.is_empty())]
        {
            if let Some(reason) = self.carries(channel).err().filter(|_| is_used) {
                let (machine, channel) = (self.name(), channel.name());
                let message = format!("{machine} carries no credentials by {channel}: {reason}");
                let hint = "build the image with --machine: `via: auto` then goes another way";
                return Err(Failure::new(Exit::Usage, message).hint(hint));
            }
        }
        Ok(())
    }

    /// Whether it has a PCI bus that devices are plugged into.
    pub fn has_pci(self) -> bool {
        match self.board {
            Board::Microvm => self.asks_pci,
            Board::Pc
            | Board::Q35
            | Board::Virt
            | Board::VirtUefi
            | Board::S390
            | Board::Pseries
            | Board::Unknown => true,
        }
    }

    /// Whether as many items of fw_cfg as are ever planned always leave slots to QEMU
    /// itself. Measured with 7.2: a microvm has 24 to spare, 23 with a `-kernel`, and the
    /// board of Arm 23; a PC may have 10.
    pub fn has_many_slots(self) -> bool {
        match self.board {
            Board::Microvm | Board::Virt | Board::VirtUefi => true,
            Board::Pc | Board::Q35 | Board::S390 | Board::Pseries | Board::Unknown => false,
        }
    }
}

impl FromStr for MachineType {
    type Err = String;

    /// Reads an option's value: one of [`MachineType::NAMES`], with what QEMU, libvirt and
    /// distributions write for a version behind it (`pc-i440fx-9.0`, `pc-q35-rhel9.4.0`,
    /// `virt-9.1`), and properties as `-machine` takes them (`microvm,pcie=on`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, properties) = text.split_once(',').unwrap_or((text, ""));
        let board = Board::of_machine(name).ok_or_else(|| format!("expected {}", Self::NAMES))?;
        let pairs = properties.split(',').filter(|property| !property.is_empty());
        pairs.map(|pair| pair.split_once('=')).try_fold(Self::new(board), |machine, pair| {
            let (key, value) = pair.ok_or("expected properties such as pcie=on")?;
            // QEMU knows these values; who writes another one would plan for the wrong machine.
            if matches!(key, "pcie" | "acpi") && !matches!(value, "on" | "off" | "auto") {
                return Err(format!("expected {key}=on, {key}=off or {key}=auto"));
            }
            Ok(machine.with(key, value))
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn names_are_read_with_and_without_a_version() {
        for (text, expected) in [
            ("pc", Board::Pc),
            ("pc-1.3", Board::Pc),
            ("pc-i440fx-9.0", Board::Pc),
            ("pc-i440fx-jammy", Board::Pc),
            ("ubuntu", Board::Pc),
            ("q35", Board::Q35),
            ("pc-q35-7.2", Board::Q35),
            ("q35+pve0", Board::Q35),
            ("pc-q35-8.1+pve0", Board::Q35),
            ("virt+pve0", Board::Virt),
            ("pc-q35-rhel9.4.0", Board::Q35),
            ("ubuntu-q35", Board::Q35),
            ("microvm", Board::Microvm),
            ("virt", Board::Virt),
            ("virt-9.1", Board::Virt),
            ("virt-rhel8.6.0", Board::Virt),
            ("virt-uefi", Board::VirtUefi),
            ("s390-ccw-virtio-9.2", Board::S390),
            ("pseries-jammy-sxxm", Board::Pseries),
        ] {
            assert_eq!(text.parse(), Ok(MachineType::new(expected)), "{text}");
        }
        for bad in
            ["", "isapc", "pc-", "q35-", "q35+", "virtx", "raspi3b", "none", "microvm,pcie", ",on"]
        {
            assert!(bad.parse::<MachineType>().is_err(), "{bad}");
        }
    }

    #[test]
    fn properties_decide_what_there_is() {
        let read = |text: &str| text.parse::<MachineType>().unwrap();
        assert!(!read("microvm").has_pci() && !read("microvm,pcie=off").has_pci());
        assert!(
            read("microvm,pcie=on,accel=kvm").has_pci() && read("virt,gic-version=3").has_pci()
        );
        for (text, smbios, fw_cfg) in [
            ("pc", true, true),
            ("q35,acpi=off", true, false),
            ("microvm", false, true),
            ("microvm,acpi=auto", false, true),
            ("microvm,acpi=off", false, false),
            ("virt,acpi=off", false, true),
            ("virt-uefi", true, true),
            ("s390-ccw-virtio", false, false),
            ("pseries", false, false),
        ] {
            let carries = [Channel::Smbios, Channel::FwCfg, Channel::Disk]
                .map(|channel| read(text).carries(channel).is_ok());
            assert_eq!(carries, [smbios, fw_cfg, true], "{text}");
        }
        assert!(MachineType::UNKNOWN.carries(Channel::FwCfg).is_err());
    }

    #[test]
    fn properties_that_count_have_values_that_qemu_knows() {
        for (bad, expected) in [
            ("microvm,pcie=maybe", "expected pcie=on, pcie=off or pcie=auto"),
            ("microvm,pcie=on,acpi=", "expected acpi=on, acpi=off or acpi=auto"),
            ("microvm,pcie", "expected properties such as pcie=on"),
        ] {
            assert_eq!(bad.parse::<MachineType>().unwrap_err(), expected);
        }
    }
}
