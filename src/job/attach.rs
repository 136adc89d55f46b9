//! From the command line's wishes to the machine that is attached.

use std::path::Path;

use super::image::Image;
use super::settings;
use crate::commands::options::{Attach, Recipe};
use crate::delivery::mount::Disk;
use crate::delivery::route::Means;
use crate::monitors::{Block, Drive, DriveId, DriveKey, MachineType, Style};
use crate::report::{self, Exit, Failure};

/// The drive for the image at `path` with this volume label, in a machine of this type.
pub(crate) fn drive(
    attach: &Attach,
    machine_type: Option<MachineType>,
    label: Option<&str>,
    path: &Path,
    block: Block,
    key: Option<DriveKey>,
) -> Result<Drive, Failure> {
    let has_pci = machine_type.is_none_or(MachineType::has_pci);
    if !has_pci && attach.bus.needs_pci() {
        let message = "a microvm without PCI has no such bus";
        let hint = "use --bus virtio or scsi, or start it with pcie=on and give --machine \
                    microvm,pcie=on";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let serial = settings::serial(attach.serial.as_deref(), label, path)?;
    let id = match &attach.id {
        Some(id) => DriveId::new(id)?,
        None => DriveId::from_serial(&serial),
    };
    let path = path.to_owned();
    let (bus, place) = (attach.bus, attach.place.unwrap_or_default());
    Ok(Drive { id, serial, path, descriptor: None, bus, place, block, machine_type, key })
}

/// The channels that are open to credentials.
pub(crate) fn means(recipe: &Recipe, attach: &Attach, image: &Image, drive: &Drive) -> Means {
    let uuid = credimg_formats::uuid_text(image.uuid);
    let label = image.label.as_deref();
    let unlock = image.encryption.as_ref().and_then(|it| it.unlock(drive, label));
    let disk = match &unlock {
        Some(_) => Disk::encrypted(image.format, &drive.serial),
        None => Disk::new(image.format, label, &uuid, &drive.serial, drive.bus),
    };
    let disk = if recipe.uuid.is_none() { disk.with_random_uuid() } else { disk };
    Means {
        target: attach.target,
        machine_type: drive.machine_type,
        form: recipe.smbios,
        is_config_file: attach.style == Style::Readconfig,
        is_streamed: settings::is_streamed(&drive.path),
        disk,
        unlock,
    }
}

/// Says what people should know before they attach the image so; `label` is
/// that of the image itself.
pub(crate) fn warn(attach: &Attach, label: Option<&str>) {
    if let Some(warning) = attach.bus.warning() {
        report::warn(warning);
    }
    if !attach.target.sets_serial() && label.is_none() {
        report::warn(&format!(
            "{} makes up the disk's serial, and the image has no label: the guest can tell it by \
             its place only",
            attach.target.name()
        ));
    }
}
