//! The drive that attaches an image.

use std::path::Path;

use super::wishes::AttachWishes;
use crate::monitors::{Block, Bus, Drive, DriveId, MachineType, Monitor, Place, Serial};
use crate::report::{self, Exit, Failure};

/// The drive for the image at `path` with this volume label, in a machine of this type. It stands
/// at `place`, unless the command line wishes another place. Its key is added later.
pub(crate) fn drive(
    wishes: &AttachWishes,
    machine_type: Option<MachineType>,
    label: Option<&str>,
    path: &Path,
    place: Place,
    block: Block,
) -> Result<Drive, Failure> {
    let has_pci = machine_type.is_none_or(MachineType::has_pci);
    if !has_pci && wishes.bus.needs_pci() {
        let message = "a microvm without PCI has no such bus";
        let hint = "use --bus virtio or scsi, or start it with pcie=on and give --machine \
                    microvm,pcie=on";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let place = wishes.place.unwrap_or(place);
    let serial = match (&wishes.serial, label) {
        (Some(serial), _) => Serial::new(serial)?,
        (None, Some(label)) => Serial::from_label(label)?,
        (None, None) => Serial::from_path(path, place),
    };
    let id = match &wishes.id {
        Some(id) => DriveId::new(id)?,
        None => DriveId::from_serial(&serial),
    };
    Ok(Drive {
        id,
        serial,
        path: path.to_owned(),
        descriptor: None,
        bus: wishes.bus,
        place,
        block,
        machine_type,
        key: None,
    })
}

/// Warns of what people should know before they attach the image by this bus. `label` is that of
/// the image itself.
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
