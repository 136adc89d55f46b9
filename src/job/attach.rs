//! From the command line's wishes to the machine that is attached.

use std::path::Path;

use super::wishes::AttachWishes;
use crate::monitors::{Block, Bus, Drive, DriveId, DriveKey, MachineType, Monitor, Serial};
use crate::report::{self, Exit, Failure};

/// The drive for the image at `path` with this volume label, in a machine of this type.
pub(crate) fn drive(
    wishes: &AttachWishes,
    machine_type: Option<MachineType>,
    label: Option<&str>,
    path: &Path,
    block: Block,
    key: Option<DriveKey>,
) -> Result<Drive, Failure> {
    let has_pci = machine_type.is_none_or(MachineType::has_pci);
    if !has_pci && wishes.bus.needs_pci() {
        let message = "a microvm without PCI has no such bus";
        let hint = "use --bus virtio or scsi, or start it with pcie=on and give --machine \
                    microvm,pcie=on";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let serial = match (&wishes.serial, label) {
        (Some(serial), _) => Serial::new(serial)?,
        (None, Some(label)) => Serial::from_label(label)?,
        (None, None) => Serial::from_path(path),
    };
    let id = match &wishes.id {
        Some(id) => DriveId::new(id)?,
        None => DriveId::from_serial(&serial),
    };
    let path = path.to_owned();
    let (bus, place) = (wishes.bus, wishes.place.unwrap_or_default());
    Ok(Drive { id, serial, path, descriptor: None, bus, place, block, machine_type, key })
}

/// Says what people should know before they attach the image so; `label` is
/// that of the image itself.
pub(crate) fn warn(target: Monitor, bus: Bus, label: Option<&str>) {
    if let Some(warning) = bus.warning() {
        report::warn(warning);
    }
    if !target.sets_serial() && label.is_none() {
        report::warn(&format!(
            "{} makes up the disk's serial, and the image has no label: the guest can tell it by \
             its place only",
            target.name()
        ));
    }
}
