//! Units for guests whose systemd is older than version 254: what mounts the
//! disk there, and how a service takes its credentials.

use std::fmt::Write;

use serde::Serialize;

use super::mount::Disk;
use crate::manifest::Channel;
use crate::manifest::{Manifest, MountPoint};
use crate::report::Failure;

/// A file of the guest's systemd, without anything secret: names and paths alone.
#[derive(Debug, Serialize)]
pub struct GuestFile {
    /// Where it belongs in the guest.
    pub path: String,
    /// Its text.
    pub content: String,
}

impl GuestFile {
    /// A table of /etc.
    pub fn table(path: &str, content: String) -> Self {
        Self { path: path.to_owned(), content }
    }
}

/// The files as `systemctl cat` shows them: each behind a comment with its path.
pub fn text(files: &[GuestFile]) -> String {
    let shown: Vec<_> =
        files.iter().map(|GuestFile { path, content }| format!("# {path}\n{content}")).collect();
    shown.join("\n")
}

/// The units and the drop-in for services that take credentials, behind the `tables` that open the
/// disk, where something has to.
pub fn files(
    manifest: &Manifest,
    disk: &Disk,
    tables: Vec<GuestFile>,
) -> Result<Vec<GuestFile>, Failure> {
    let point = manifest.mount.clone().unwrap_or_else(MountPoint::standard);
    let (what, at) = (disk.device()?.path(), point.as_str());
    let mut files = tables;
    files.push(mount(&what, at, disk.kind(), &point.options()));
    let has_store = !manifest.credentials.is_empty() && !point.is_credstore();
    if has_store {
        files.push(mount(&format!("{at}/credstore"), MountPoint::CREDSTORE, "none", "bind"));
    }
    let needed = if has_store { MountPoint::CREDSTORE } else { at };
    files.push(drop_in(manifest, needed));
    Ok(files)
}

fn mount(what: &str, at: &str, kind: &str, options: &str) -> GuestFile {
    // `%` begins a specifier.
    let options = options.replace('%', "%%");
    let content = format!(
        "[Unit]\nDescription=Secrets of this machine\n\n\
         [Mount]\nWhat={what}\nWhere={at}\nType={kind}\nOptions={options}\n"
    );
    GuestFile { path: format!("/etc/systemd/system/{}.mount", escaped(at)), content }
}

/// What a service needs to take its credentials from the mount at `needed`.
fn drop_in(manifest: &Manifest, needed: &str) -> GuestFile {
    let mut content = format!("[Unit]\nRequiresMountsFor={needed}\n");
    if !manifest.credentials.is_empty() {
        content.push_str("\n[Service]\n");
    }
    for credential in &manifest.credentials {
        // `%` begins a specifier.
        let name = credential.name.replace('%', "%%");
        // A path is what the option takes since it is there (systemd 247). A name alone
        // also stands for what came by the firmware, which older ones do not look for.
        // A String takes everything.
        let _ = match credential.via {
            Some(Channel::Disk) => {
                writeln!(content, "LoadCredential={name}:{}/{name}", MountPoint::CREDSTORE)
            }
            Some(Channel::Smbios | Channel::FwCfg | Channel::Initrd) | None => {
                writeln!(content, "LoadCredential={name}")
            }
        };
    }
    let path = "/etc/systemd/system/SERVICE.service.d/50-credimg.conf".to_owned();
    GuestFile { path, content }
}

/// A path as the name of its unit (systemd.unit(5), "String escaping for
/// inclusion in unit names").
pub(crate) fn escaped(path: &str) -> String {
    let mut name = String::new();
    for (index, byte) in path.trim_start_matches('/').bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if index == 0 => name.push_str("\\x2e"),
            b'.' | b'_' | b':' => name.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            _ => {
                let _ = write!(name, "\\x{byte:02x}"); // A String takes everything.
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_names_as_systemd_escape_does() {
        // Each from `systemd-escape --path`.
        for (path, expected) in [
            ("/run/secrets", "run-secrets"),
            ("/srv/a-b/.c_d", r"srv-a\x2db-.c_d"),
            ("/.hidden/x@y+z", r"\x2ehidden-x\x40y\x2bz"),
        ] {
            assert_eq!(escaped(path), expected);
        }
    }
}
