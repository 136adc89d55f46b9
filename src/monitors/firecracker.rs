//! Firecracker: the drive as its API and its configuration file take it.
//!
//! The grammar is that of `Drive` in Firecracker's API description
//! (src/firecracker/swagger/firecracker.yaml), whose fields the program checks
//! one by one: an unknown one is an error. A microVM has no SMBIOS tables and no
//! firmware configuration device, so a disk and an initrd are all that it can be given.

use serde_json::json;

use super::facts::{Facts, Machines, Paths, Printed, Public, Smbios, Started};
use super::{Bus, Machine, refusal};
use crate::report::Failure;

/// What is known of Firecracker.
pub(super) static FACTS: Facts = Facts {
    name: "firecracker",
    printed: Printed::Text(render),
    started: Started::Never("it hears of drives by its API only"),
    paths: Paths::Absolute,
    buses: &[Bus::Virtio],
    sets_serial: false,
    opens_luks1: false,
    machines: Machines::None,
    is_told_machine: false,
    smbios: Smbios::Refused("it has no SMBIOS tables"),
    fw_cfg: Err("it has no fw_cfg device"),
    no_items: None,
    public: Public::Never("it has no SMBIOS tables"),
};

/// One JSON object a line. The first is the body of `PUT /drives/DRIVE_ID`, and one
/// element of `drives` in a file for `--config-file`; nothing where there is no drive. Where
/// the machine has an initrd of ours, the second is a member of `boot-source`, beside the
/// machine's own `kernel_image_path`.
///
/// Firecracker makes up the disk's serial itself: the guest finds it by its label.
/// Whatever cannot be carried is an error of [`crate::report::Exit::Usage`].
pub fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    refusal::require_public(&FACTS, &machine.firmware)?;
    let mut lines = Vec::new();
    if let Some(drive) = &machine.drive {
        refusal::require_drive(&FACTS, drive)?;
        lines.push(json!({
            "drive_id": drive_id(drive.id.as_str()),
            "path_on_host": refusal::text(&FACTS, &drive.path)?,
            "is_root_device": false,
            "is_read_only": true,
        }));
    }
    if let Some(initrd) = &machine.initrd {
        lines.push(json!({ "initrd_path": refusal::text(&FACTS, initrd)? }));
    }
    Ok(lines.iter().flat_map(|object| format!("{object}\n").into_bytes()).collect())
}

/// An id holds letters, digits and underscores only (`checked_id` of its API server).
fn drive_id(id: &str) -> String {
    id.replace(['-', '.'], "_")
}
