//! crosvm: arguments of `crosvm run`.
//!
//! The grammar of `--block` is that of crosvm's `serde_keyvalue` (README.md and
//! `src/key_values.rs` there): `key=value` pairs between commas, where a value may
//! stand in double quotes, in which `\"` and `\\` are escapes. A bare value ends
//! at a comma and holds neither brackets nor quotes.

use super::carry;
use super::{Bus, Machine, Monitor};
use crate::report::Failure;
use crate::report::shell;

const TARGET: Monitor = Monitor::Crosvm;

/// One line of `--block`, quoted for the shell; nothing where there is no drive.
///
/// Whatever cannot be carried is an error of [`crate::report::Exit::Usage`].
pub fn render(machine: &Machine) -> Result<Vec<u8>, Failure> {
    let arguments = words(machine)?;
    Ok(if arguments.is_empty() { Vec::new() } else { shell::line(&arguments) })
}

/// The arguments as words, for a monitor that is started with them.
pub fn words(machine: &Machine) -> Result<Vec<Vec<u8>>, Failure> {
    carry::require_carried(TARGET, &machine.firmware)?;
    if let Some(public) = machine.firmware.public.first() {
        let reason = "its option for OEM strings is not the same in every release";
        return Err(carry::no_public(TARGET, public, reason));
    }
    let Some(drive) = &machine.drive else { return Ok(Vec::new()) };
    carry::bus(TARGET, drive, &[(Bus::Virtio, "virtio")])?;
    let path = value(carry::text(TARGET, &drive.path)?);
    let block = format!("path={path},ro,id={}", drive.serial.as_str());
    Ok(vec![b"--block".to_vec(), block.into_bytes()])
}

/// The value as it is, or in double quotes where it holds anything with a meaning.
fn value(text: &str) -> String {
    if !text.contains([',', '"', '\'', '[', ']']) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
