//! crosvm: arguments of `crosvm run`.
//!
//! The grammar of `--block` and `--fw-cfg` is that of crosvm's `serde_keyvalue` (README.md and
//! `src/key_values.rs` there): `key=value` pairs between commas, where a value may
//! stand in double quotes, in which `\"` and `\\` are escapes. A bare value ends
//! at a comma and holds neither brackets nor quotes.

use super::facts::{
    Facts, FwCfg, KernelLine, Machines, Opener, Paths, Printed, Public, Smbios, Started,
};
use super::{Bus, FwCfgItem, Machine, Style, refusal};
use crate::report::Failure;
use crate::report::shell;

/// What is known of crosvm.
pub(super) static FACTS: Facts = Facts {
    name: "crosvm",
    printed: Printed::Words(words),
    styles: &[Style::Shell, Style::None],
    started: Started::Words { styles: &[Style::Shell], words: |machine, _| words(machine) },
    paths: Paths::Absolute,
    buses: &[Bus::Virtio],
    sets_serial: true,
    opens_luks1: Opener::None,
    machines: Machines::None,
    is_told_machine: false,
    smbios: Smbios::Refused(
        "OEM strings would stand in its arguments, which every user of the host can read",
    ),
    // Its ACPI tables have no entry for the device (x86_64/src/acpi.rs), by which Linux finds it.
    fw_cfg: FwCfg::OnRequest(
        "it has fw_cfg on x86 alone, and the guest finds it where its kernel has \
         CONFIG_FW_CFG_SYSFS_CMDLINE and qemu_fw_cfg.ioport=4@0x510 on its command line",
    ),
    no_items: None,
    public: Public::Never("its option for OEM strings is not the same in every release"),
    kernel_line: KernelLine { styles: &[Style::Shell], ..KernelLine::WRITTEN },
};

/// One line of `--block`, `--initrd`, `--fw-cfg` and `-p`, quoted for the shell; nothing where
/// there is nothing to give.
///
/// Whatever cannot be carried is an error of [`crate::report::Exit::Usage`].
pub fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    let arguments = words(machine)?;
    Ok(if arguments.is_empty() { Vec::new() } else { shell::line(&arguments) })
}

/// The arguments as words, for a monitor that is started with them.
pub fn words(machine: &Machine) -> Result<Vec<Vec<u8>>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    refusal::require_public(&FACTS, &machine.firmware)?;
    let mut arguments = Vec::new();
    if let Some(drive) = &machine.drive {
        refusal::require_drive(&FACTS, drive)?;
        let path = value(refusal::text(&FACTS, &drive.path)?);
        let block = format!("path={path},ro,id={}", drive.serial.as_str());
        arguments.extend([b"--block".to_vec(), block.into_bytes()]);
    }
    if let Some(initrd) = &machine.initrd {
        let path = refusal::text(&FACTS, initrd)?;
        arguments.extend([b"--initrd".to_vec(), path.as_bytes().to_vec()]);
    }
    for FwCfgItem { name, file } in &machine.firmware.fw_cfg {
        let (name, path) = (value(name), value(refusal::text(&FACTS, file)?));
        let item = format!("name={name},path={path}");
        arguments.extend([b"--fw-cfg".to_vec(), item.into_bytes()]);
    }
    // It may be there more than once: crosvm joins the words.
    for word in &machine.kernel_line {
        arguments.extend([b"-p".to_vec(), word.clone().into_bytes()]);
    }
    Ok(arguments)
}

/// The value as it is, or in double quotes where it holds anything with a meaning.
fn value(text: &str) -> String {
    if !text.contains([',', '"', '\'', '[', ']']) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
