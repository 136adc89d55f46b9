//! From the command line's wishes to the drive that is attached.

use std::path::Path;

use super::image::Image;
use super::settings;
use crate::channels::mount::Disk;
use crate::channels::plan::Means;
use crate::cli::{Attach, Build};
use crate::report::Failure;
use crate::vm::{Drive, DriveId, Machine, Serial, Style, Target, qemu};

/// The drive for the image at `path` with this volume label.
pub(super) fn drive(attach: &Attach, label: Option<&str>, path: &Path) -> Result<Drive, Failure> {
    let serial = match &attach.serial {
        Some(serial) => Serial::new(serial)?,
        None => Serial::from_label(label)?,
    };
    let id = match &attach.id {
        Some(id) => DriveId::new(id)?,
        None => DriveId::from_serial(&serial),
    };
    Ok(Drive { id, serial, path: path.to_owned(), bus: attach.bus })
}

/// What gives `machine` to the monitor, in the style that was asked for.
pub(super) fn render(attach: &Attach, machine: &Machine) -> Result<Vec<u8>, Failure> {
    qemu::render(machine, attach.style)
}

/// The channels that are open to credentials.
pub(super) fn means(options: &Build, image: &Image, drive: &Drive) -> Means {
    let uuid = settings::show_uuid(image.uuid);
    Means {
        target: Target::Qemu,
        form: options.smbios,
        is_config_file: options.attach.style == Style::Readconfig,
        is_streamed: settings::is_streamed(&options.output),
        disk: Disk::new(image.format, image.label.as_deref(), &uuid, &drive.serial, drive.bus),
    }
}
