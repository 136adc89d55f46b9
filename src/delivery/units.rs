//! Units for guests whose systemd is older than version 254: what mounts the
//! disk there, and how a service takes its credentials.

use std::fmt::Write;

use super::mount::Disk;
use crate::manifest::Channel;
use crate::manifest::{Manifest, MountPoint};
use crate::report::Failure;

/// The units as `systemctl cat` shows them: each behind a comment with its
/// path. Public: names and paths, never a value.
///
/// `crypttab` is the line that opens the disk, where it is encrypted.
pub fn text(manifest: &Manifest, disk: &Disk, crypttab: Option<&str>) -> Result<String, Failure> {
    let point = manifest.mount.clone().unwrap_or_else(MountPoint::standard);
    let (what, at) = (disk.device()?.path(), point.as_str());
    let crypttab = crypttab.map(|line| format!("# /etc/crypttab\n{line}\n"));
    let mut text = crypttab.unwrap_or_default();
    let kind = disk.kind();
    add_mount(&mut text, &what, at, kind, &point.options());
    let has_store = !manifest.credentials.is_empty() && !point.is_credstore();
    if has_store {
        add_mount(&mut text, &format!("{at}/credstore"), MountPoint::CREDSTORE, "none", "bind");
    }
    let needed = if has_store { MountPoint::CREDSTORE } else { at };
    // A String takes everything.
    let _ = write!(
        text,
        "# /etc/systemd/system/SERVICE.service.d/50-credimg.conf\n\
         [Unit]\nRequiresMountsFor={needed}\n"
    );
    if !manifest.credentials.is_empty() {
        text.push_str("\n[Service]\n");
    }
    for credential in &manifest.credentials {
        // `%` begins a specifier.
        let name = credential.name.replace('%', "%%");
        // A path is what the option takes since it is there (systemd 247). A name alone
        // also stands for what came by the firmware, which older ones do not look for.
        let _ = match credential.via {
            Some(Channel::Disk) => {
                writeln!(text, "LoadCredential={name}:{}/{name}", MountPoint::CREDSTORE)
            }
            Some(Channel::Smbios | Channel::FwCfg) | None => {
                writeln!(text, "LoadCredential={name}")
            }
        };
    }
    Ok(text)
}

fn add_mount(text: &mut String, what: &str, at: &str, kind: &str, options: &str) {
    let name = escaped(at);
    // `%` begins a specifier.
    let options = options.replace('%', "%%");
    let _ = write!(
        text,
        "# /etc/systemd/system/{name}.mount\n[Unit]\nDescription=Secrets of this machine\n\n\
         [Mount]\nWhat={what}\nWhere={at}\nType={kind}\nOptions={options}\n\n"
    );
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
