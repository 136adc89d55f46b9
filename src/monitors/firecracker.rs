//! Firecracker: what its API and its configuration file take.
//!
//! The grammar is that of `Drive` and `BootSource` in Firecracker's API description
//! (src/firecracker/swagger/firecracker.yaml), and for a whole file that of `VmmConfig`
//! (src/vmm/src/resources.rs), whose fields the program checks
//! one by one: an unknown one is an error. A microVM has no SMBIOS tables and no
//! firmware configuration device, so a disk and an initrd are all that it can be given.

use serde_json::{Map, Value, json};

use super::facts::{
    Facts, FwCfg, KernelLine, Machines, Opener, Paths, Printed, Public, Smbios, Started,
};
use super::{Arguments, Bus, Drive, Machine, Style, refusal};
use crate::report::Failure;

/// What is known of Firecracker.
pub(super) static FACTS: Facts = Facts {
    name: "firecracker",
    printed: Printed::Styled(|machine, style| Ok(Arguments::Text(render(machine, style)?))),
    styles: &[Style::Shell, Style::Api, Style::None],
    started: Started::Never("it hears of drives by its API only"),
    paths: Paths::Absolute,
    buses: &[Bus::Virtio],
    sets_serial: false,
    opens_luks1: Opener::None,
    machines: Machines::None,
    is_told_machine: false,
    smbios: Smbios::Refused("it has no SMBIOS tables"),
    fw_cfg: FwCfg::Refused("it has no fw_cfg device"),
    no_items: None,
    public: Public::Never("it has no SMBIOS tables"),
    kernel_line: KernelLine {
        styles: &[Style::Api],
        place: "the guest's kernel command line (`boot_args` of the boot source, as --args api \
                prints it)",
    },
};

/// One JSON object a line, or nothing where there is nothing to give. In the style of
/// [`Style::Shell`] the first is the drive, the body of `PUT /drives/DRIVE_ID`, and the second,
/// where the machine has an initrd of ours, a member of `boot-source`, beside the machine's own
/// `kernel_image_path`. In that of [`Style::Api`] there is one, which is what a file for
/// `--config-file` holds of it: `drives`, and in `boot-source` the initrd, and the words for the
/// guest's kernel, which go behind those of `boot_args` that are there.
///
/// Firecracker makes up the disk's serial itself: the guest finds it by its label.
/// Whatever cannot be carried is an error of [`crate::report::Exit::Usage`].
pub fn render(machine: &Machine, style: Style) -> Result<Vec<u8>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    refusal::require_public(&FACTS, &machine.firmware)?;
    let drive = machine.drive.as_ref().map(drive).transpose()?;
    let initrd = machine.initrd.as_ref().map(|path| refusal::text(&FACTS, path)).transpose()?;
    let initrd = initrd.map(|path| ("initrd_path", json!(path)));
    let objects: Vec<_> = if style == Style::Api {
        let words = &machine.kernel_line;
        let words = (!words.is_empty()).then(|| ("boot_args", json!(words.join(" "))));
        let source = object(initrd.into_iter().chain(words)).map(|it| ("boot-source", it));
        let drives = drive.map(|drive| ("drives", json!([drive])));
        object(drives.into_iter().chain(source)).into_iter().collect()
    } else {
        drive.into_iter().chain(object(initrd)).collect()
    };
    Ok(objects.iter().flat_map(|object| format!("{object}\n").into_bytes()).collect())
}

fn drive(drive: &Drive) -> Result<Value, Failure> {
    refusal::require_drive(&FACTS, drive)?;
    Ok(json!({
        "drive_id": drive_id(drive.id.as_str()),
        "path_on_host": refusal::text(&FACTS, &drive.path)?,
        "is_root_device": false,
        "is_read_only": true,
    }))
}

/// The object of these members; none without any.
fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Option<Value> {
    let members: Map<_, _> =
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    (!members.is_empty()).then_some(Value::Object(members))
}

/// An id holds letters, digits and underscores only (`checked_id` of its API server).
fn drive_id(id: &str) -> String {
    id.replace(['-', '.'], "_")
}
