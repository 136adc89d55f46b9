//! Tells what a text is by its content.

use super::word::find;
use super::{installer, json, listing, python};

/// What a text is, which decides how it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Arguments,
    Json,
    Xml,
    Unit,
    Proxmox,
    Kickstart,
    Preseed,
    CloudConfig,
    Yaml,
    Python,
    Log,
    Processes,
    Journal,
    Shell,
}

impl Kind {
    /// Whether its author may write comments, rather than processes what they do.
    pub(super) fn has_comments(self) -> bool {
        match self {
            Self::Arguments | Self::Json | Self::Log | Self::Processes | Self::Journal => false,
            Self::Xml
            | Self::Unit
            | Self::Proxmox
            | Self::Kickstart
            | Self::Preseed
            | Self::CloudConfig
            | Self::Yaml
            | Self::Python
            | Self::Shell => true,
        }
    }

    /// Whether a text of this kind begins and ends with brackets, wherever it stands.
    pub(super) fn is_bracketed(self) -> bool {
        match self {
            Self::Json | Self::Xml => true,
            Self::Arguments
            | Self::Unit
            | Self::Proxmox
            | Self::Kickstart
            | Self::Preseed
            | Self::CloudConfig
            | Self::Yaml
            | Self::Python
            | Self::Log
            | Self::Processes
            | Self::Journal
            | Self::Shell => false,
        }
    }

    /// The kind of a text of any bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let is_text = |line: &&[u8]| !matches!(line.first(), None | Some(b'#' | b';'));
        let whole = lines.by_ref().find(|line| is_text(&line.trim_ascii())).unwrap_or_default();
        // Proxmox's keys are never indented.
        let is_proxmox = is_proxmox(whole) || lines.any(is_proxmox);
        let first = whole.trim_ascii();
        // The journal has NUL bytes too, in the lengths of its fields.
        if listing::is_journal(bytes) {
            Self::Journal
        } else if bytes.contains(&0) {
            Self::Arguments
        } else if is_cloud_config(bytes) {
            Self::CloudConfig
        } else if first.starts_with(b"<") {
            Self::Xml
        } else if json::is_json(bytes) {
            Self::Json
        } else if python::is_python(bytes, first) {
            Self::Python
        } else if is_section(first) {
            Self::Unit
        } else if is_proxmox {
            Self::Proxmox
        } else if installer::is_preseed(first) {
            Self::Preseed
        } else if installer::is_kickstart(first, bytes) {
            Self::Kickstart
        } else if listing::is_processes(first) {
            Self::Processes
        } else if listing::is_log(first) {
            Self::Log
        } else if is_yaml(first, bytes) {
            if has_cloud_key(bytes) { Self::CloudConfig } else { Self::Yaml }
        } else {
            Self::Shell
        }
    }
}

/// `[Service]`
fn is_section(line: &[u8]) -> bool {
    let name = line.strip_prefix(b"[").and_then(|line| line.strip_suffix(b"]"));
    name.is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_alphanumeric))
}

/// Whether a line begins with a key of Proxmox's configuration. A script has no such line, as no
/// command's name ends with a colon.
fn is_proxmox(line: &[u8]) -> bool {
    const KEYS: [&[u8]; 6] =
        [b"args: -", b"cipassword: ", b"cores: ", b"ostype: ", b"scsihw: ", b"smbios1: "];
    KEYS.iter().any(|key| line.starts_with(key))
}

/// Whether the text begins with the header of a cloud-config, perhaps below that of a template.
fn is_cloud_config(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.starts_with(b"## template:")).unwrap_or_default();
    first == b"#cloud-config" || first.starts_with(b"#cloud-config ")
}

/// Whether the text has a key of cloud-config. A script may write a part of one, which has no
/// header.
fn has_cloud_key(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    lines.any(|line| line.starts_with(b"chpasswd:") || line.starts_with(b"ssh_pwauth:"))
}

/// A document's begin, or a key, of which no command of a shell has the form. A
/// Makefile's targets have it, but a tab begins its other lines, which YAML forbids.
fn is_yaml(first: &[u8], bytes: &[u8]) -> bool {
    let item = first.strip_prefix(b"- ").unwrap_or(first).trim_ascii_start();
    let is_key_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let length = item.iter().take_while(|byte| is_key_byte(byte)).count();
    let is_key = item.first().is_some_and(u8::is_ascii_alphabetic)
        && item.get(length) == Some(&b':')
        && item.get(length + 1).is_none_or(u8::is_ascii_whitespace);
    (is_key || first == b"---") && find(bytes, b"\n\t").is_none()
}
