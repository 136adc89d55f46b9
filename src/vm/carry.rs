//! What the targets beside QEMU have in common: how they refuse what their
//! grammar, or their way with secrets, cannot carry.

use std::path::Path;

use clap::ValueEnum;

use super::{Bus, Channel, Drive, PublicCredential, Target};
use crate::report::{Exit, Failure, shown};

/// The failure of a channel that `target` does not carry safely: it names the
/// channel, the reason and the channels to use instead.
pub(super) fn no_channel(target: Target, channel: Channel) -> Failure {
    let reason = target.carries(channel).err().unwrap_or("it loads them from files itself");
    let message =
        format!("{} cannot carry credentials by {}: {reason}", target.name(), channel.name());
    let others = [Channel::Disk, Channel::FwCfg, Channel::Smbios]
        .into_iter()
        .filter(|other| *other != channel && target.carries(*other).is_ok())
        .map(|other| format!("`via: {}`", other.name()));
    let hint = format!("in the manifest write {}", others.collect::<Vec<_>>().join(" or "));
    Failure::new(Exit::Usage, message).hint(hint)
}

/// The failure of credentials in files of their own where `target` loads none.
pub(super) fn no_files(target: Target) -> Failure {
    let message = format!("{} loads no credentials from files of their own", target.name());
    Failure::new(Exit::Usage, message).hint("in the manifest write `via: disk`")
}

/// The failure of a credential that is no secret, where `target` has no place
/// even for such a one.
pub(super) fn no_public(target: Target, public: &PublicCredential, reason: &str) -> Failure {
    let message =
        format!("{} cannot carry the credential {}: {reason}", target.name(), public.name);
    Failure::new(Exit::Usage, message)
        .hint("leave it out, and let the guest mount the disk by its own fstab or a mount unit")
}

/// The name of the drive's bus among those that `target` has.
pub(super) fn bus(
    target: Target,
    drive: &Drive,
    buses: &[(Bus, &'static str)],
) -> Result<&'static str, Failure> {
    if let Some((_, name)) = buses.iter().find(|(bus, _)| *bus == drive.bus) {
        return Ok(name);
    }
    let message =
        format!("{} cannot attach a read-only drive by the bus {}", target.name(), name(drive.bus));
    let possible: Vec<_> = buses.iter().map(|(bus, _)| format!("--bus {}", name(*bus))).collect();
    Err(Failure::new(Exit::Usage, message).hint(format!("use {}", possible.join(" or "))))
}

/// The path as text, which is what every grammar but a command line wants.
pub(super) fn text(target: Target, path: &Path) -> Result<&str, Failure> {
    let text = path.to_str().ok_or_else(|| no_path(target, path, "is not UTF-8"))?;
    if text.is_empty() || text.contains('\0') {
        return Err(no_path(target, path, "is empty or holds a NUL byte"));
    }
    Ok(text)
}

/// The same for a target that starts elsewhere than the caller.
pub(super) fn absolute_text(target: Target, path: &Path) -> Result<&str, Failure> {
    if path.is_relative() {
        return Err(no_path(target, path, "is not absolute"));
    }
    text(target, path)
}

/// The failure of a path that `target` has no way to write; `fault` goes on from "it".
pub(super) fn no_path(target: Target, path: &Path, fault: &str) -> Failure {
    let message = format!("{} cannot carry the path {}: it {fault}", target.name(), shown(path));
    Failure::new(Exit::Usage, message).hint("use another path")
}

fn name(bus: Bus) -> String {
    bus.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
