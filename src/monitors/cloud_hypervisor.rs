//! Cloud Hypervisor: arguments of `cloud-hypervisor`.
//!
//! The grammar is that of its `option_parser`: `key=value` pairs between commas
//! outside of brackets and double quotes; in quotes only the quote itself has a
//! meaning, and two of them stand for one. White space around a value is dropped
//! unless it is quoted.

use super::facts::{
    Facts, FwCfg, KernelLine, Machines, Opener, Paths, Printed, Public, Smbios, Started,
};
use super::{Bus, FwCfgItem, Machine, PublicCredential, Style, refusal};
use crate::report::shell;
use crate::report::{Exit, Failure};

/// What is known of Cloud Hypervisor.
pub(super) static FACTS: Facts = Facts {
    name: "cloud-hypervisor",
    printed: Printed::Words(words),
    styles: &[Style::Shell, Style::None],
    started: Started::Words { styles: &[Style::Shell], words: |machine, _| words(machine) },
    paths: Paths::Absolute,
    buses: &[Bus::Virtio],
    sets_serial: true,
    opens_luks1: Opener::None,
    machines: Machines::All,
    is_told_machine: false,
    smbios: Smbios::Refused(
        "OEM strings would stand in its arguments, which every user of the host can read",
    ),
    fw_cfg: FwCfg::OnRequest("its fw_cfg device is a feature that its releases are built without"),
    no_items: Some("colons part its items, and the file of such an item has some in its name"),
    public: Public::SmbiosOfX86,
    kernel_line: KernelLine::WRITTEN,
};

/// One line of `--disk`, of `--initramfs`, of `--platform` for credentials that are no secret and
/// of `--fw-cfg-config`, quoted for the shell; nothing where there is nothing to give. Each option
/// may be there once only: their values are to be merged with the machine's own.
///
/// Whatever cannot be carried is an error of [`crate::report::Exit::Usage`].
pub fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    let arguments = words(machine)?;
    Ok(if arguments.is_empty() { Vec::new() } else { shell::line(&arguments) })
}

/// The arguments as words, for a monitor that is started with them.
pub fn words(machine: &Machine) -> Result<Vec<Vec<u8>>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    let mut arguments = Vec::new();
    if let Some(drive) = &machine.drive {
        refusal::require_drive(&FACTS, drive)?;
        let path = value(refusal::text(&FACTS, &drive.path)?);
        let serial = drive.serial.as_str();
        let disk = format!("path={path},readonly=on,serial={serial},image_type=raw");
        arguments.extend([b"--disk".to_vec(), disk.into_bytes()]);
    }
    if let Some(initrd) = &machine.initrd {
        let path = refusal::text(&FACTS, initrd)?;
        arguments.extend([b"--initramfs".to_vec(), path.as_bytes().to_vec()]);
    }
    let public = &machine.firmware.public;
    if !public.is_empty() {
        let strings = public.iter().map(oem_string).collect::<Result<Vec<_>, _>>()?;
        let platform = format!("oem_strings=[{}]", strings.join(","));
        arguments.extend([b"--platform".to_vec(), platform.into_bytes()]);
    }
    if let Some(config) = fw_cfg(&machine.firmware.fw_cfg)? {
        arguments.extend([b"--fw-cfg-config".to_vec(), config.into_bytes()]);
    }
    Ok(arguments)
}

/// The items alone: all else that the device can hold is for firmware, and is on unless it is
/// turned off (`FwCfgConfig` of vmm/src/config.rs). Items are between colons, whose parser knows
/// no quotes.
fn fw_cfg(items: &[FwCfgItem]) -> Result<Option<String>, Failure> {
    let item = |FwCfgItem { name, file }: &FwCfgItem| {
        let path = refusal::text(&FACTS, file)?;
        if !is_plain(path) {
            let fault = "holds a bracket, quote, comma or colon, or ends in a space";
            return Err(refusal::no_path(&FACTS, file, fault));
        }
        if !is_plain(name) {
            let message = "cloud-hypervisor cannot carry a fw_cfg item whose name holds a bracket, \
                           quote or comma";
            return Err(Failure::new(Exit::Usage, message).hint("give the credential another name"));
        }
        Ok(format!("name={name},file={path}"))
    };
    if items.is_empty() {
        return Ok(None);
    }
    let items = items.iter().map(item).collect::<Result<Vec<_>, _>>()?.join(":");
    let others = "e820=off,kernel=off,cmdline=off,initramfs=off,acpi_table=off";
    Ok(Some(format!("{others},items=[{items}]")))
}

/// Whether the text stands for itself in an item of a list.
fn is_plain(text: &str) -> bool {
    !text.contains(['[', ']', '"', ',', ':']) && text.trim() == text
}

/// Items of a list were not unquoted in every release: they must need no quotes.
fn oem_string(public: &PublicCredential) -> Result<String, Failure> {
    let text = public.oem_string();
    if text.contains(['[', ']', '"', ',']) {
        return Err(refusal::no_public(&FACTS, public, "its name holds a bracket, quote or comma"));
    }
    Ok(text)
}

/// The value as it is, or in double quotes where it holds anything with a meaning.
fn value(text: &str) -> String {
    let has_meaning = text.contains([',', '"', '[', ']']) || text.trim() != text;
    if has_meaning { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
