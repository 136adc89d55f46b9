//! Firecracker: the drive as its API and its configuration file take it.
//!
//! The grammar is that of `Drive` in Firecracker's API description
//! (src/firecracker/swagger/firecracker.yaml), whose fields the program checks
//! one by one: an unknown one is an error. A microVM has no SMBIOS tables and no
//! firmware configuration device, so a disk is all that it can be given.

use serde_json::json;

use super::carry;
use super::{Bus, Machine, Monitor};
use crate::report::Failure;

const TARGET: Monitor = Monitor::Firecracker;

/// One JSON object and a newline: the body of `PUT /drives/DRIVE_ID`, and one
/// element of `drives` in a file for `--config-file`. Nothing where there is no drive.
///
/// Firecracker makes up the disk's serial itself: the guest finds it by its label.
/// Whatever cannot be carried is an error of [`crate::report::Exit::Usage`].
pub fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    carry::require_carried(TARGET, &machine.firmware)?;
    if let Some(public) = machine.firmware.public.first() {
        return Err(carry::no_public(TARGET, public, "it has no SMBIOS tables"));
    }
    let Some(drive) = &machine.drive else { return Ok(Vec::new()) };
    carry::bus(TARGET, drive, &[(Bus::Virtio, "virtio")])?;
    let object = json!({
        "drive_id": drive_id(drive.id.as_str()),
        "path_on_host": carry::text(TARGET, &drive.path)?,
        "is_root_device": false,
        "is_read_only": true,
    });
    Ok(format!("{object}\n").into_bytes())
}

/// An id holds letters, digits and underscores only (`checked_id` of its API server).
fn drive_id(id: &str) -> String {
    id.replace(['-', '.'], "_")
}
