//! Cloud Hypervisor: arguments of `cloud-hypervisor`, and the JSON of its API.
//!
//! The grammar is that of its `option_parser`: `key=value` pairs between commas
//! outside of brackets and double quotes; in quotes only the quote itself has a
//! meaning, and two of them stand for one. White space around a value is dropped
//! unless it is quoted.

use serde_json::{Map, Value, json};

use super::facts::{
    Facts, FwCfg, KernelLine, Machines, Opener, Paths, Printed, Public, Smbios, Started,
};
use super::{Arguments, Bus, FwCfgItem, Machine, PublicCredential, Style, refusal};
use crate::report::shell;
use crate::report::{Exit, Failure};

/// What is known of Cloud Hypervisor.
pub(super) static FACTS: Facts = Facts {
    name: "cloud-hypervisor",
    printed: Printed::Styled(styled),
    styles: &[Style::Shell, Style::Api, Style::None],
    started: Started::Words { styles: &[Style::Shell], words: |machine, _| words(machine) },
    paths: Paths::Absolute,
    buses: &[Bus::Virtio],
    sets_serial: true,
    opens_luks1: Opener::None,
    machines: Machines::All,
    is_told_machine: false,
    smbios: Smbios::Platform(
        "OEM strings would stand in its arguments, which every user of the host can read: --args \
         api keeps them in a file",
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

fn styled(machine: &Machine, style: Style) -> Result<Arguments, Failure> {
    if style == Style::Api {
        api(machine).map(Arguments::Text)
    } else {
        words(machine).map(Arguments::Words)
    }
}

/// One line of JSON that its API takes as a part of `vm.create` (`VmConfig` of
/// `vmm/src/vm_config.rs`); nothing where there is nothing to give. Secret OEM strings are in the
/// file of `platform`, which is another part.
fn api(machine: &Machine) -> Result<Vec<u8>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    let mut payload = Map::new();
    if let Some(initrd) = &machine.initrd {
        payload.insert("initramfs".to_owned(), json!(refusal::text(&FACTS, initrd)?));
    }
    if let Some(config) = fw_cfg_api(&machine.firmware.fw_cfg)? {
        payload.insert("fw_cfg_config".to_owned(), config);
    }
    let mut object = Map::new();
    if let Some(drive) = &machine.drive {
        refusal::require_drive(&FACTS, drive)?;
        let disk = json!({
            "path": refusal::text(&FACTS, &drive.path)?,
            "readonly": true,
            "serial": drive.serial.as_str(),
            "image_type": "Raw",
        });
        object.insert("disks".to_owned(), json!([disk]));
    }
    if !payload.is_empty() {
        object.insert("payload".to_owned(), Value::Object(payload));
    }
    let strings: Vec<_> =
        machine.firmware.public.iter().map(PublicCredential::oem_string).collect();
    if !strings.is_empty() {
        object.insert("platform".to_owned(), json!({ "oem_strings": strings }));
    }
    if object.is_empty() {
        return Ok(Vec::new());
    }
    Ok(format!("{}\n", Value::Object(object)).into_bytes())
}

/// The items as its API takes them, and nothing else of what the device can hold.
fn fw_cfg_api(items: &[FwCfgItem]) -> Result<Option<Value>, Failure> {
    let item = |FwCfgItem { name, file }: &FwCfgItem| {
        Ok(json!({ "name": name, "file": refusal::text(&FACTS, file)? }))
    };
    if items.is_empty() {
        return Ok(None);
    }
    let items = items.iter().map(item).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Some(json!({
        "e820": false,
        "kernel": false,
        "cmdline": false,
        "initramfs": false,
        "acpi_tables": false,
        "items": { "item_list": items },
    })))
}

/// The arguments as words, for a monitor that is started with them.
pub fn words(machine: &Machine) -> Result<Vec<Vec<u8>>, Failure> {
    refusal::require_carried(&FACTS, &machine.firmware)?;
    if machine.firmware.platform.is_some() {
        let message = "cloud-hypervisor takes these OEM strings by its API alone: with its \
                       arguments every user of the host could read them";
        return Err(Failure::new(Exit::Usage, message).hint("use --args api"));
    }
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
