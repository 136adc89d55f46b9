//! The devices by which the guest sees a drive.

use crate::monitors::{Block, Board, Bus, Drive};

/// One `-device` of the drive.
pub(super) struct Device {
    pub(super) driver: &'static str,
    /// Only controllers have one: it names their bus.
    pub(super) id: Option<String>,
    pub(super) properties: Vec<(&'static str, String)>,
}

/// A controller that a drive brings with it.
struct Controller {
    driver: &'static str,
    /// What its id ends in.
    suffix: &'static str,
    /// Whether the guest has the disk's serial from it.
    has_serial: bool,
}

/// Where the first device of a drive is plugged in: properties that it gets.
pub(super) type Plug = Vec<(&'static str, String)>;

/// The drive's place on the machine's first PCI bus.
pub(super) fn own_slot(drive: &Drive) -> Plug {
    let slot = drive.place.pci_slot().filter(|_| has_slots(drive));
    slot.map(address).into_iter().collect()
}

/// The property that is a slot of a PCI bus.
pub(in crate::monitors) fn address(slot: u8) -> (&'static str, String) {
    ("addr", format!("{slot:#x}"))
}

/// Whether the machine's devices have slots of a PCI bus.
fn has_slots(drive: &Drive) -> bool {
    match drive.machine_type.map(|it| it.board) {
        Some(Board::Microvm | Board::S390 | Board::Unknown) => false,
        None | Some(Board::Pc | Board::Q35 | Board::Virt | Board::VirtUefi | Board::Pseries) => {
            true
        }
    }
}

/// All devices of the drive: its controllers, then the disk. The controllers belong to
/// this drive alone and take its id, so that the devices of several drives
/// never clash. The first of them is plugged into the machine, by `plug`.
pub(super) fn of_drive(drive: &Drive, mut plug: Plug) -> Vec<Device> {
    let (virtio_blk, virtio_scsi) = match drive.machine_type.map(|it| it.board) {
        // The plain names are those of PCI devices, and a microvm has no PCI unless asked.
        Some(Board::Microvm) => ("virtio-blk-device", "virtio-scsi-device"),
        // On s390 those of channel devices.
        None
        | Some(
            Board::Pc
            | Board::Q35
            | Board::Virt
            | Board::VirtUefi
            | Board::Pseries
            | Board::S390
            | Board::Unknown,
        ) => ("virtio-blk", "virtio-scsi"),
    };
    let scsi = Controller { driver: virtio_scsi, suffix: "scsi", has_serial: false };
    let (controllers, disk, has_block_size) = match drive.bus {
        Bus::Virtio => (vec![], virtio_blk, true),
        Bus::Scsi => (vec![scsi], "scsi-hd", true),
        Bus::Usb => {
            let usb = Controller { driver: "qemu-xhci", suffix: "usb", has_serial: false };
            // Of `usb-storage`, which is both in one, no block size can be chosen.
            let bot = Controller { driver: "usb-bot", suffix: "bot", has_serial: true };
            (vec![usb, bot], "scsi-hd", true)
        }
        Bus::Nvme => (vec![], "nvme", true),
        Bus::Cdrom => (vec![scsi], "scsi-cd", false),
        Bus::Sata => {
            let ahci = Controller { driver: "ahci", suffix: "sata", has_serial: false };
            (vec![ahci], "ide-cd", false)
        }
    };
    let serial = ("serial", drive.serial.as_str().to_owned());
    let mut devices = Vec::new();
    for Controller { driver, suffix, has_serial } in controllers {
        let id = format!("{}-{suffix}", drive.id.as_str());
        let mut properties = std::mem::replace(&mut plug, vec![("bus", format!("{id}.0"))]);
        if has_serial {
            properties.push(serial.clone());
        }
        devices.push(Device { driver, id: Some(id), properties });
    }
    let mut properties = plug;
    properties.extend([("drive", drive.id.as_str().to_owned()), serial]);
    match drive.block {
        Block::Cd | Block::Page if has_block_size => {
            let bytes = drive.block.bytes().to_string();
            properties.push(("logical_block_size", bytes.clone()));
            properties.push(("physical_block_size", bytes));
        }
        // It is that of QEMU itself.
        Block::Small | Block::Cd | Block::Page => {}
    }
    devices.push(Device { driver: disk, id: None, properties });
    devices
}
