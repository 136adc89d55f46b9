//! The private files beside the image, `IMAGE.SUFFIX`. Values for the firmware never stand on a
//! command line: arguments name these files.
//!
//! The suffix says what a file is, so the arguments of an image can be printed again from the names
//! alone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credimg_formats::Secret;

use super::initrd::{self, GuestInitrd};
use super::means::Means;
use super::route::{Mount, Opening, Routes, Teller};
use super::smbios;
use super::unlock::Unlock;
use crate::host::memory::{held, hold};
use crate::host::output::INDEX_SUFFIX;
use crate::host::steady::Steady;
use crate::manifest::{Channel, MOUNT_CREDENTIAL, is_credential_name, is_fw_cfg_name};
use crate::monitors::{
    CredentialFile, Firmware, FwCfgItem, ITEM_PREFIX, PublicCredential, SmbiosFile, StringFiles,
};
use crate::report::Failure;

/// The file of one SMBIOS structure with every OEM string.
const STRUCTURE: &str = "smbios";
/// The file of the whole initrd: the guest's own with credentials behind it.
const INITRD: &str = "initrd";
/// Files of one OEM string, of one fw_cfg item and of one credential, before its name.
const STRING: &str = "smbios.";
const ITEM: &str = "fw_cfg.";
const CREDENTIAL: &str = "credential.";
/// The file of JSON with every OEM string, as Cloud Hypervisor's API takes them.
const PLATFORM: &str = "platform";

/// A value that goes by the firmware.
#[derive(Clone, Debug)]
pub struct Value {
    /// The credential's name, or the full name of another item of fw_cfg, which holds a slash.
    pub name: String,
    /// SMBIOS or fw_cfg.
    pub channel: Channel,
    /// The value itself.
    pub secret: Secret,
}

/// A private file beside the image.
#[derive(Clone, Debug)]
pub struct Sidecar {
    /// What follows the image's name and a dot.
    pub suffix: String,
    /// A file of the host that is copied to its start, if there is one.
    pub head: Option<Arc<Steady>>,
    /// What follows, or all of its content where `head` is none.
    pub content: Secret,
}

/// The values that open the disk: the key if there is one, and the unit. Empty where an argument
/// brings the unit.
pub fn opening(
    opening: Option<Opening>,
    unlock: Option<&Unlock>,
    key: Option<&Secret>,
) -> Vec<Value> {
    let (Some(Opening { by, .. }), Some(unlock)) = (opening, unlock) else { return Vec::new() };
    let channel = match by {
        Teller::Channel(channel) => channel,
        Teller::Argument | Teller::KernelLine => return Vec::new(),
    };
    let key = key.filter(|_| unlock.has_key()).map(|key| Value {
        name: unlock.key_name(),
        channel,
        secret: held(key.clone()),
    });
    let unit = Value {
        name: unlock.unit_credential(by),
        channel,
        secret: Secret::from(unlock.unit().as_bytes()),
    };
    key.into_iter().chain(std::iter::once(unit)).collect()
}

/// The files for these values and for the lines that mount the disk. `head` is the guest's own
/// initrd.
pub fn pack(
    values: &[Value],
    mount: Option<&Mount>,
    means: &Means,
    head: Option<&Arc<Steady>>,
) -> Result<Vec<Sidecar>, Failure> {
    let lines = mount.and_then(|mount| {
        let secret = Secret::from(mount.fstab.as_bytes());
        Some(Value { name: MOUNT_CREDENTIAL.to_owned(), channel: mount.channel()?, secret })
    });
    let mut sidecars = Vec::new();
    let mut strings = Vec::new();
    let mut behind_initrd = Vec::new();
    let files = means.target.string_files(means.form);
    for Value { name, channel, secret } in lines.iter().chain(values) {
        let (prefix, content) = match (channel, files) {
            (Channel::Disk, _) => continue,
            (Channel::Initrd, _) => {
                behind_initrd.push((name.as_str(), secret.expose()));
                continue;
            }
            (Channel::FwCfg, _) => (ITEM, secret.clone()),
            (Channel::Smbios, StringFiles::Values) => (CREDENTIAL, secret.clone()),
            (Channel::Smbios, StringFiles::Strings) => {
                (STRING, smbios::oem_string(name, secret.expose()))
            }
            (Channel::Smbios, StringFiles::Structure | StringFiles::Json) => {
                strings.push(smbios::oem_string(name, secret.expose()));
                continue;
            }
        };
        // A file's name cannot hold a slash, and no name of an item holds a colon.
        let suffix = format!("{prefix}{}", name.replace('/', ":"));
        sidecars.push(Sidecar { suffix, head: None, content });
    }
    if !strings.is_empty() {
        let (suffix, content) = match files {
            StringFiles::Json => (PLATFORM, smbios::platform(&strings)),
            StringFiles::Structure | StringFiles::Strings | StringFiles::Values => {
                (STRUCTURE, smbios::structure(&strings)?)
            }
        };
        sidecars.push(Sidecar { suffix: suffix.to_owned(), head: None, content });
    }
    if let Some(GuestInitrd { size_bytes, form, is_always_given, .. }) = &means.initrd
        && (*is_always_given || !behind_initrd.is_empty())
    {
        let form = form.as_ref().copied().unwrap_or_default();
        let content = initrd::behind(*size_bytes, form, &behind_initrd);
        sidecars.push(Sidecar { suffix: INITRD.to_owned(), head: head.cloned(), content });
    }
    Ok(sidecars)
}

/// Keeps the files that may hold the key with this name out of the swap.
pub fn hold_key(sidecars: &[Sidecar], key_name: &str) {
    let is_common = |suffix: &str| matches!(suffix, STRUCTURE | PLATFORM | INITRD);
    let holds = |suffix: &str| is_common(suffix) || suffix.ends_with(key_name);
    for sidecar in sidecars.iter().filter(|sidecar| holds(&sidecar.suffix)) {
        hold(sidecar.content.expose());
    }
}

/// The credentials that stand in arguments, as they are no secret: the unit that opens the disk and
/// the lines that mount it, if an argument brings them.
pub fn public(routes: &Routes, unlock: Option<&Unlock>) -> Vec<PublicCredential> {
    let is_argument = |by| match by {
        Teller::Argument => true,
        Teller::Channel(_) | Teller::KernelLine => false,
    };
    let opening = routes.opening.filter(|opening| is_argument(opening.by));
    let unit = opening.zip(unlock).map(|(Opening { by, .. }, unlock)| PublicCredential {
        name: unlock.unit_credential(by),
        value: unlock.unit(),
    });
    let mount = routes.mount.as_ref().filter(|mount| is_argument(mount.by));
    let lines = mount.map(|mount| PublicCredential {
        name: MOUNT_CREDENTIAL.to_owned(),
        value: mount.fstab.clone(),
    });
    unit.into_iter().chain(lines).collect()
}

/// What the files with these suffixes beside `image` bring to the machine, in the order of the
/// suffixes. A suffix that is none of ours brings nothing.
pub fn firmware<'a>(image: &Path, suffixes: impl IntoIterator<Item = &'a str>) -> Firmware {
    firmware_of(suffixes.into_iter().map(|suffix| (suffix, path(image, suffix))))
}

/// What these files bring to the machine, in the order of their suffixes. They may lie anywhere;
/// each comes with the suffix that it would have beside an image.
pub fn firmware_of<'a>(files: impl IntoIterator<Item = (&'a str, PathBuf)>) -> Firmware {
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_unstable();
    let mut firmware = Firmware::default();
    for (suffix, file) in files {
        match kind(suffix.as_bytes()) {
            None | Some(Kind::Initrd) => {}
            Some(Kind::Platform) => firmware.platform = Some(file),
            Some(Kind::Structure) => firmware.smbios.push(SmbiosFile::Structure(file)),
            Some(Kind::String) => firmware.smbios.push(SmbiosFile::String(file)),
            Some(Kind::Item(name)) => {
                firmware.fw_cfg.push(FwCfgItem { name: format!("{ITEM_PREFIX}{name}"), file });
            }
            Some(Kind::OtherItem(name)) => firmware.fw_cfg.push(FwCfgItem { name, file }),
            Some(Kind::Credential(name)) => {
                firmware.credentials.push(CredentialFile { name: name.to_owned(), file });
            }
        }
    }
    firmware
}

/// The path of the initrd among the files with these suffixes beside `image`.
pub fn initrd<'a>(image: &Path, suffixes: impl IntoIterator<Item = &'a str>) -> Option<PathBuf> {
    initrd_of(suffixes.into_iter().map(|suffix| (suffix, path(image, suffix))))
}

/// The path of the initrd among files that lie anywhere, each with its suffix.
pub fn initrd_of<'a>(files: impl IntoIterator<Item = (&'a str, PathBuf)>) -> Option<PathBuf> {
    files.into_iter().find(|(suffix, _)| *suffix == INITRD).map(|(_, path)| path)
}

/// Whether a file `IMAGE.SUFFIX` is one that a build made.
pub fn is_suffix(suffix: &[u8]) -> bool {
    kind(suffix).is_some()
}

/// Whether a file `IMAGE.SUFFIX` is one that a build made, or the index of those.
pub fn is_own(suffix: &[u8]) -> bool {
    suffix == INDEX_SUFFIX.as_bytes() || is_suffix(suffix)
}

/// The path of a file beside `image`.
pub fn path(image: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(image);
    path.push(".");
    path.push(suffix);
    path.into()
}

enum Kind<'a> {
    Platform,
    Structure,
    Initrd,
    String,
    Item(&'a str),
    OtherItem(String),
    Credential(&'a str),
}

fn kind(suffix: &[u8]) -> Option<Kind<'_>> {
    let text = std::str::from_utf8(suffix).ok()?;
    match text {
        STRUCTURE => return Some(Kind::Structure),
        PLATFORM => return Some(Kind::Platform),
        INITRD => return Some(Kind::Initrd),
        _ => {}
    }
    let named = |prefix| text.strip_prefix(prefix).filter(|name| is_credential_name(name));
    if let Some(name) = named(ITEM) {
        return Some(Kind::Item(name));
    }
    if let Some(name) = text.strip_prefix(ITEM).filter(|name| !name.contains('/')) {
        return Some(name.replace(':', "/"))
            .filter(|name| is_fw_cfg_name(name))
            .map(Kind::OtherItem);
    }
    if let Some(name) = named(CREDENTIAL) {
        return Some(Kind::Credential(name));
    }
    named(STRING).map(|_| Kind::String)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::monitors::{Monitor, SmbiosForm};

    fn value(name: &str, channel: Channel) -> Value {
        Value { name: name.to_owned(), channel, secret: Secret::from(&b"v\0"[..]) }
    }

    fn packed(means: &Means) -> Vec<(String, Vec<u8>)> {
        let values = [value("b", Channel::FwCfg), value("c d", Channel::Smbios)];
        let mount = Mount { by: Teller::Channel(Channel::Smbios), fstab: "x\n".to_owned() };
        let sidecars = pack(&values, Some(&mount), means, None).unwrap();
        let pair = |sidecar: Sidecar| (sidecar.suffix, sidecar.content.expose().to_vec());
        sidecars.into_iter().map(pair).collect()
    }

    #[test]
    fn values_are_in_files_that_say_what_they_are() {
        let item = ("fw_cfg.b".to_owned(), b"v\0".to_vec());
        let lines = b"io.systemd.credential.binary:fstab.extra=eAo=";
        let string = b"io.systemd.credential.binary:c d=dgA=";
        let structure = [b"\x0b\x05\x00\x0e\x02", &lines[..], b"\0", string, b"\0\0"].concat();
        let expected = [item.clone(), ("smbios".to_owned(), structure)];
        assert_eq!(packed(&Means::default()), expected);

        let means = Means { form: SmbiosForm::Path, ..Means::default() };
        let expected = [
            ("smbios.fstab.extra".to_owned(), lines.to_vec()),
            item.clone(),
            ("smbios.c d".to_owned(), string.to_vec()),
        ];
        assert_eq!(packed(&means), expected);

        let means = Means { target: Monitor::Vmspawn, ..Means::default() };
        let expected = [
            ("credential.fstab.extra".to_owned(), b"x\n".to_vec()),
            item.clone(),
            ("credential.c d".to_owned(), b"v\0".to_vec()),
        ];
        assert_eq!(packed(&means), expected);

        let means = Means { target: Monitor::CloudHypervisor, ..Means::default() };
        let json = format!(
            "{{\"platform\":{{\"oem_strings\":[\"{}\",\"{}\"]}}}}\n",
            str::from_utf8(lines).unwrap(),
            str::from_utf8(string).unwrap()
        );
        assert_eq!(packed(&means), [item, ("platform".to_owned(), json.into_bytes())]);
    }

    #[test]
    fn names_give_the_machine_back() {
        let suffixes = ["smbios.x", "fw_cfg.b,c", "smbios", "credential.a", "bak", "fw_cfg.a:b"];
        let firmware = firmware(Path::new("d/i.erofs"), suffixes);
        let structure = SmbiosFile::Structure("d/i.erofs.smbios".into());
        let string = SmbiosFile::String("d/i.erofs.smbios.x".into());
        assert_eq!(firmware.smbios, [structure, string]);
        let name = "opt/io.systemd.credentials/b,c".to_owned();
        assert_eq!(firmware.fw_cfg, [FwCfgItem { name, file: "d/i.erofs.fw_cfg.b,c".into() }]);
        let (name, file) = ("a".to_owned(), "d/i.erofs.credential.a".into());
        assert_eq!(firmware.credentials, [CredentialFile { name, file }]);
        assert!(is_own(b"sidecars") && !is_suffix(b"sidecars") && is_own(b"smbios"));
        assert!(is_suffix(b"smbios.x") && !is_suffix(b"bak") && !is_suffix(b"smbios."));
        assert!(!is_suffix(b"fw_cfg.a:b") && !is_suffix(b"\xff"));
    }

    #[test]
    fn lines_without_a_channel_are_an_argument() {
        let mount = |by| Mount { by, fstab: "x\n".to_owned() };
        let routes = |by| Routes { mount: Some(mount(by)), ..Routes::default() };
        assert!(
            pack(&[], Some(&mount(Teller::Argument)), &Means::default(), None).unwrap().is_empty()
        );
        let (name, value) = ("fstab.extra".to_owned(), "x\n".to_owned());
        assert_eq!(public(&routes(Teller::Argument), None), [PublicCredential { name, value }]);
        for by in [Teller::Channel(Channel::FwCfg), Teller::KernelLine] {
            assert_eq!(public(&routes(by), None), []);
        }
    }
}
