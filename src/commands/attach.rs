//! From the command line's wishes to the drive that is attached.

use std::path::Path;

use crate::cli::Attach;
use crate::report::Failure;
use crate::vm::{Drive, DriveId, Serial};

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
