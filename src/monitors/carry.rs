//! What the targets beside QEMU have in common: how they refuse what their
//! grammar, or their way with secrets, cannot carry.

use std::path::Path;

use clap::ValueEnum;

use super::{Bus, Channel, Drive, Firmware, Monitor, PublicCredential};
use crate::report::{Exit, Failure, shown};

/// An error where private files are beside an image that `target` does not
/// carry safely. A build plans around them: these were made for another target.
pub(super) fn require_carried(target: Monitor, firmware: &Firmware) -> Result<(), Failure> {
    let Firmware { smbios, fw_cfg, credentials, .. } = firmware;
    let loads_files = target == Monitor::Vmspawn;
    let name = target.name();
    for (channel, is_empty) in
        [(Channel::Smbios, smbios.is_empty()), (Channel::FwCfg, fw_cfg.is_empty())]
    {
        let own_files = loads_files.then_some("it loads them from files itself");
        let reason = target.carries(channel).err().or(own_files).filter(|_| !is_empty);
        if let Some(reason) = reason {
            let message =
                format!("{name} cannot carry credentials by {}: {reason}", channel.name());
            return Err(made_for_another(target, message));
        }
    }
    if !loads_files && !credentials.is_empty() {
        let message = format!("{name} loads no credentials from files of their own");
        return Err(made_for_another(target, message));
    }
    Ok(())
}

fn made_for_another(target: Monitor, message: String) -> Failure {
    let name = target.name();
    let hint = format!("build the image with --target {name}: `via: auto` then goes another way");
    Failure::new(Exit::Usage, message).hint(hint)
}

/// An error where only QEMU itself opens what is encrypted.
pub(super) fn require_plain(target: Monitor, drive: &Drive) -> Result<(), Failure> {
    if drive.key.is_none() {
        return Ok(());
    }
    let message = format!("{} does not open a LUKS1 image", target.name());
    Err(Failure::new(Exit::Usage, message).hint("use LUKS2, which the guest opens"))
}

/// The failure of a credential that is no secret, where `target` has no place
/// even for such a one.
pub(super) fn no_public(target: Monitor, public: &PublicCredential, reason: &str) -> Failure {
    let message =
        format!("{} cannot carry the credential {}: {reason}", target.name(), public.name);
    Failure::new(Exit::Usage, message)
        .hint("leave it out, and let the guest mount the disk by its own fstab or a mount unit")
}

/// The name of the drive's bus among those that `target` has.
pub(super) fn bus(
    target: Monitor,
    drive: &Drive,
    buses: &[(Bus, &'static str)],
) -> Result<&'static str, Failure> {
    require_plain(target, drive)?;
    if let Some((_, name)) = buses.iter().find(|(bus, _)| *bus == drive.bus) {
        return Ok(name);
    }
    let message =
        format!("{} cannot attach a read-only drive by the bus {}", target.name(), name(drive.bus));
    let possible: Vec<_> = buses.iter().map(|(bus, _)| format!("--bus {}", name(*bus))).collect();
    Err(Failure::new(Exit::Usage, message).hint(format!("use {}", possible.join(" or "))))
}

/// The path as text, which is what every grammar but a command line wants.
pub(super) fn text(target: Monitor, path: &Path) -> Result<&str, Failure> {
    let text = path.to_str().ok_or_else(|| no_path(target, path, "is not UTF-8"))?;
    if text.is_empty() || text.contains('\0') {
        return Err(no_path(target, path, "is empty or holds a NUL byte"));
    }
    Ok(text)
}

/// The path as text for a target that starts elsewhere than the caller: it must be absolute.
pub(super) fn absolute_text(target: Monitor, path: &Path) -> Result<&str, Failure> {
    if path.is_relative() {
        return Err(no_path(target, path, "is not absolute"));
    }
    text(target, path)
}

/// The failure of a path that `target` has no way to write; `fault` goes on from "it".
pub(super) fn no_path(target: Monitor, path: &Path, fault: &str) -> Failure {
    let message = format!("{} cannot carry the path {}: it {fault}", target.name(), shown(path));
    Failure::new(Exit::Usage, message).hint("use another path")
}

fn name(bus: Bus) -> String {
    bus.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
