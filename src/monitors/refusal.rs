//! How a monitor refuses what its grammar, or its way with secrets, cannot carry.

use std::path::Path;

use clap::ValueEnum;

use super::facts::{Facts, FwCfg, Opener, Public, Smbios};
use super::{Bus, Drive, Firmware, PublicCredential, Style};
use crate::manifest::Channel;
use crate::report::{Exit, Failure, shown};

/// An error where private files are beside an image that the monitor does not
/// carry safely. A build plans around them: these were made for another monitor.
pub(super) fn require_carried(facts: &Facts, firmware: &Firmware) -> Result<(), Failure> {
    let Firmware { smbios, fw_cfg, platform, credentials, public: _ } = firmware;
    let refused = |channel: Channel, reason: &str| {
        let message =
            format!("{} cannot carry credentials by {}: {reason}", facts.name, channel.name());
        Err(made_for_another(facts, message))
    };
    let no_strings = match facts.smbios {
        Smbios::Strings => None,
        Smbios::Credentials => Some("it loads them from files itself"),
        Smbios::Platform(reason) | Smbios::Refused(reason) => Some(reason),
    };
    if let Some(reason) = no_strings.filter(|_| !smbios.is_empty()) {
        return refused(Channel::Smbios, reason);
    }
    match facts.fw_cfg {
        FwCfg::Refused(reason) if !fw_cfg.is_empty() => return refused(Channel::FwCfg, reason),
        FwCfg::Files | FwCfg::OnRequest(_) | FwCfg::Refused(_) => {}
    }
    let (loads, has_platform) = match facts.smbios {
        Smbios::Credentials => (true, false),
        Smbios::Platform(_) => (false, true),
        Smbios::Strings | Smbios::Refused(_) => (false, false),
    };
    if platform.is_some() && !has_platform {
        let message = format!("{} takes no OEM strings from a file of JSON", facts.name);
        return Err(made_for_another(facts, message));
    }
    if credentials.is_empty() || loads {
        return Ok(());
    }
    let message = format!("{} loads no credentials from files of their own", facts.name);
    Err(made_for_another(facts, message))
}

fn made_for_another(facts: &Facts, message: String) -> Failure {
    let name = facts.name;
    let hint = format!("build the image with --target {name}: `via: auto` then goes another way");
    Failure::new(Exit::Usage, message).hint(hint)
}

/// An error where a credential that is no secret is given, and the monitor has no place for it.
pub(super) fn require_public(facts: &Facts, firmware: &Firmware) -> Result<(), Failure> {
    match (facts.public, firmware.public.first()) {
        (Public::Always | Public::Smbios | Public::SmbiosOfX86, _) | (Public::Never(_), None) => {
            Ok(())
        }
        (Public::Never(reason), Some(public)) => Err(no_public(facts, public, reason)),
    }
}

/// An error where the monitor is to open a LUKS1 image, and does not.
pub(super) fn require_opener(facts: &Facts) -> Result<(), Failure> {
    match facts.opens_luks1 {
        Opener::Key | Opener::Secret(_) => return Ok(()),
        Opener::None => {}
    }
    let message = format!("{} does not open a LUKS1 image", facts.name);
    Err(Failure::new(Exit::Usage, message).hint("use LUKS2, which the guest opens"))
}

/// The failure of a credential that is no secret, where the monitor has no place for it.
pub(super) fn no_public(facts: &Facts, public: &PublicCredential, reason: &str) -> Failure {
    let message = format!("{} cannot carry the credential {}: {reason}", facts.name, public.name);
    Failure::new(Exit::Usage, message)
        .hint("leave it out, and let the guest mount the disk by its own fstab or a mount unit")
}

/// An error where the monitor does not open the drive's image, or not attach it by its bus.
pub(super) fn require_drive(facts: &Facts, drive: &Drive) -> Result<(), Failure> {
    if drive.key.is_some() {
        require_opener(facts)?;
    }
    if facts.buses.contains(&drive.bus) { Ok(()) } else { Err(no_bus(facts, drive.bus)) }
}

/// The failure of a bus by which the monitor attaches no disk.
pub(super) fn no_bus(facts: &Facts, bus: Bus) -> Failure {
    let bus = option_name(&bus);
    let message = format!("{} cannot attach a read-only drive by the bus {bus}", facts.name);
    let possible: Vec<_> =
        option_names(facts.buses).iter().map(|bus| format!("--bus {bus}")).collect();
    Failure::new(Exit::Usage, message).hint(format!("use {}", possible.join(" or ")))
}

/// The path as text, which is what every grammar but a command line wants.
pub(super) fn text<'p>(facts: &Facts, path: &'p Path) -> Result<&'p str, Failure> {
    let text = path.to_str().ok_or_else(|| no_path(facts, path, "is not UTF-8"))?;
    if text.is_empty() || text.contains('\0') {
        return Err(no_path(facts, path, "is empty or holds a NUL byte"));
    }
    Ok(text)
}

/// The path as text for a monitor that starts elsewhere than the caller: it must be absolute.
pub(super) fn absolute_text<'p>(facts: &Facts, path: &'p Path) -> Result<&'p str, Failure> {
    if path.is_relative() {
        return Err(no_path(facts, path, "is not absolute"));
    }
    text(facts, path)
}

/// The failure of a path that the monitor has no way to write; `fault` goes on from "it".
pub(super) fn no_path(facts: &Facts, path: &Path, fault: &str) -> Failure {
    let message = format!("{} cannot carry the path {}: it {fault}", facts.name, shown(path));
    Failure::new(Exit::Usage, message).hint("use another path")
}

/// The failure of a style of `--args` in which nothing is written for the monitor `name`.
pub(super) fn no_style(name: &str, styles: &[Style], style: Style) -> Failure {
    let message = format!("{name} has no arguments of the style {}", option_name(&style));
    let possible: Vec<_> =
        option_names(styles).iter().map(|style| format!("--args {style}")).collect();
    Failure::new(Exit::Usage, message).hint(format!("use {}", possible.join(" or ")))
}

/// What the command line calls these values of an option.
pub(super) fn option_names(values: &[impl ValueEnum]) -> Vec<String> {
    values.iter().map(option_name).collect()
}

/// What the command line calls this value of an option.
pub(super) fn option_name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
