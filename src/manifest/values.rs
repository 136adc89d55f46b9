//! What the texts of single values mean. No fault here holds the text itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base64::Engine;
use credimg_formats::iso9660::VolumeId;
use credimg_formats::squashfs::Compression;
use credimg_formats::tree::SYMLINK_MAX_BYTES;
use credimg_formats::xattrs::{self, NAME_MAX_BYTES};
use credimg_formats::{Format, Mode, Name, Secret};
use zeroize::Zeroizing;

use super::channel::Channel;
use super::error::Fault;
use super::resolved::{MountPoint, TreePath};

/// Longest volume label in bytes, that of ISO 9660; the image's own format may hold less.
pub(super) const LABEL_MAX_BYTES: usize = VolumeId::MAX_BYTES;
/// Longest path in the image, slash included: `PATH_MAX` of Linux less its NUL.
const PATH_MAX_BYTES: usize = 4095;
/// Longest name of a credential: that of a file (`NAME_MAX` of Linux).
const CREDENTIAL_NAME_MAX_BYTES: usize = 255;
/// The credential that tells systemd to mount the disk (systemd.system-credentials(7)).
pub(crate) const MOUNT_CREDENTIAL: &str = "fstab.extra";

/// A volume label: 1 to 32 bytes of those that udev leaves as they are in the
/// name of `/dev/disk/by-label`, without `=` because `LABEL=…` is split there.
pub(super) fn label(text: &str) -> Result<String, Fault> {
    if text.len() > LABEL_MAX_BYTES {
        return Err(Fault::new(format!(
            "expected a label of at most {LABEL_MAX_BYTES} bytes, got {}",
            text.len()
        )));
    }
    let begins_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    if begins_well && text.bytes().all(is_of_label) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        "expected a label of letters, digits and `#+-.:@_` that begins with a letter or digit",
    ))
}

/// Whether a label can hold this.
pub(super) fn is_of_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"#+-.:@_".contains(&byte)
}

/// Longest label in bytes for an image of this format. SquashFS has none: there the label only
/// names the drive, so it gets what a manifest takes at most.
pub(crate) fn label_max_bytes(format: Format, has_joliet: bool) -> usize {
    let profile = format.profile();
    let joliet = profile.joliet_label_max_bytes.filter(|_| has_joliet);
    joliet.or(profile.label_max_bytes).unwrap_or(LABEL_MAX_BYTES)
}

/// An image format that this version writes.
pub(super) fn format(text: &str) -> Result<Format, Fault> {
    text.parse().map_err(|_| Fault::new("expected `erofs`, `squashfs` or `iso9660`"))
}

/// A compression of SquashFS with its level.
pub(super) fn compression(text: &str) -> Result<Compression, Fault> {
    text.parse().map_err(|error: credimg_formats::Error| Fault::new(error.to_string()))
}

/// `UID:GID`, each 0 to 4294967294; 4294967295 is the kernel's invalid id.
pub(super) fn owner(text: &str) -> Result<(u32, u32), Fault> {
    let id = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let id = digits.parse().ok().filter(|id| *id != u32::MAX);
        if is_number { id } else { None }
    };
    let ids = text.split_once(':').and_then(|(uid, gid)| Some((id(uid)?, id(gid)?)));
    ids.ok_or_else(|| {
        Fault::new("expected UID:GID as two numbers of at most 4294967294, or `keep`")
            .hint("names are not taken: host and guest may number them differently")
    })
}

/// A credential's name: what systemd takes for one (`credential_name_valid`), a
/// file's name of printable ASCII without a colon.
pub(super) fn credential_name(text: &str) -> Result<String, Fault> {
    if text.len() > CREDENTIAL_NAME_MAX_BYTES {
        return Err(Fault::new(format!(
            "expected a name of at most {CREDENTIAL_NAME_MAX_BYTES} characters, got {}",
            text.len()
        )));
    }
    if !is_credential_name(text) {
        let rule = "expected a name of printable ASCII characters without `/` and `:`";
        return Err(Fault::new(rule).hint("these are systemd's rules for names of credentials"));
    }
    if text == MOUNT_CREDENTIAL {
        return Err(Fault::new("this credential is made from `mount`")
            .hint("`mount: PATH` says where the guest mounts the disk"));
    }
    Ok(text.to_owned())
}

/// Whether systemd takes this for the name of a credential.
pub(crate) fn is_credential_name(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !b"/:".contains(&byte);
    let length = 1..=CREDENTIAL_NAME_MAX_BYTES;
    length.contains(&text.len()) && !matches!(text, "." | "..") && text.bytes().all(is_plain)
}

/// A channel, none for `auto`.
pub(super) fn via(text: &str) -> Result<Option<Channel>, Fault> {
    let channels = [Channel::Disk, Channel::Smbios, Channel::FwCfg, Channel::Initrd];
    let found = channels.into_iter().find(|channel| channel.name() == text);
    if found.is_some() || text == "auto" {
        return Ok(found);
    }
    Err(Fault::new("expected `auto`, `disk`, `smbios`, `fw_cfg` or `initrd`"))
}

/// Whether symbolic links of a directory are followed.
pub(super) fn links(text: &str) -> Result<bool, Fault> {
    match text {
        "keep" => Ok(false),
        "follow" => Ok(true),
        _ => Err(Fault::new("expected `keep` or `follow`")),
    }
}

/// Where the guest mounts the disk.
pub(super) fn mount_point(text: &str) -> Result<MountPoint, Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+@-".contains(&byte);
    let is_component = |name: &str| !matches!(name, "" | "." | "..") && name.bytes().all(is_plain);
    let components = text.strip_prefix('/').map(|rest| rest.split('/'));
    let is_path = components.is_some_and(|mut names| names.all(is_component));
    if is_path && text.len() < PATH_MAX_BYTES {
        return Ok(MountPoint { path: text.to_owned(), options: Vec::new() });
    }
    Err(Fault::new("expected an absolute path of letters, digits and `._+@-`")
        .hint("such as /run/secrets, or /run/credstore for a disk of credentials alone"))
}

/// Octal digits, 0 to 07777.
pub(super) fn mode(text: &str) -> Result<Mode, Fault> {
    text.parse().map_err(|_| Fault::new("expected octal digits, at most 07777, or `keep`"))
}

/// Bytes of base64 (RFC 4648, 4: standard alphabet, with padding); white space is skipped.
pub(super) fn base64(text: &str) -> Result<Secret, Fault> {
    let dense: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
    // The library's error is dropped: it quotes the byte that it stumbled over.
    let bytes = base64::engine::general_purpose::STANDARD.decode(&*dense);
    bytes
        .map(Secret::new)
        .map_err(|_| Fault::new("expected base64 of the standard alphabet with padding"))
}

/// A variable's name: letters, digits and `_`, not beginning with a digit.
pub(super) fn variable(text: &str) -> Result<OsString, Fault> {
    let is_name = !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name {
        return Ok(text.into());
    }
    Err(Fault::new("expected the name of an environment variable")
        .hint("give its name, without `$`"))
}

/// A symbolic link's target: 1 to 4095 bytes without NUL.
pub(super) fn target(text: &str) -> Result<Vec<u8>, Fault> {
    if (1..=SYMLINK_MAX_BYTES).contains(&text.len()) && !text.contains('\0') {
        return Ok(text.as_bytes().to_vec());
    }
    let limits = format!("expected a link target of 1 to {SYMLINK_MAX_BYTES} bytes without NUL");
    Err(Fault::new(limits))
}

/// A path of the host, relative to the manifest's `directory`.
pub(super) fn host_path(text: &str, directory: &Path) -> Result<PathBuf, Fault> {
    if text.is_empty() || text.contains('\0') {
        return Err(Fault::new("expected a host path, not empty and without NUL"));
    }
    Ok(directory.join(text))
}

/// A word of a command line.
pub(super) fn word(text: &str) -> Result<OsString, Fault> {
    let is_word = !text.contains('\0');
    is_word.then(|| text.into()).ok_or_else(|| Fault::new("expected text without NUL"))
}

/// A path in the image. The leading slash may be missing; a slash alone is the root.
pub(super) fn tree_path(text: &str) -> Result<TreePath, Fault> {
    let relative = text.strip_prefix('/').unwrap_or(text);
    if relative.len() >= PATH_MAX_BYTES {
        return Err(Fault::new(format!("expected a path of at most {PATH_MAX_BYTES} bytes")));
    }
    if text == "/" {
        return Ok(TreePath::default());
    }
    if text.is_empty() {
        return Err(Fault::new("expected a path, got an empty text"));
    }
    if relative.split('/').any(str::is_empty) {
        return Err(Fault::new("the path has an empty component").hint("drop the spare slash"));
    }
    let names = relative.split('/').map(|name| Name::new(name.as_bytes()));
    // The tree's own messages name limits and lengths, never the bytes.
    let names: Result<_, _> = names.collect();
    names.map(TreePath).map_err(|error| Fault::new(error.to_string()))
}

/// An extended attribute's full name, of a kind that Linux knows.
pub(super) fn xattr_name(text: &str) -> Result<Box<[u8]>, Fault> {
    if !xattrs::is_known(text.as_bytes()) {
        return Err(Fault::new(
            "expected an attribute's full name: `user.…`, `trusted.…`, `security.…`, \
             `system.posix_acl_access` or `system.posix_acl_default`",
        ));
    }
    if text.len() > NAME_MAX_BYTES || text.contains('\0') {
        let limits = format!("expected a name of at most {NAME_MAX_BYTES} bytes without NUL");
        return Err(Fault::new(limits));
    }
    Ok(text.as_bytes().into())
}

/// Takes a value that some inode of Linux can have as this attribute.
pub(super) fn xattr_value(name: &[u8], value: Secret) -> Result<Secret, Fault> {
    match xattrs::value_fault(name, value.expose()) {
        None => Ok(value),
        Some(fault) => Err(Fault::new(fault)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn owners_are_two_numbers() {
        assert_eq!(owner("0:0"), Ok((0, 0)));
        assert_eq!(owner("990:4294967294"), Ok((990, 4_294_967_294)));
        for text in
            ["", "0", ":", "0:", ":0", "4294967295:0", "0:4294967296", "+1:1", "a:b", "1:1:1"]
        {
            assert!(owner(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_are_safe_everywhere() {
        for text in ["C", "cidata", "CHIMERA", "config-2", "a.b:c@d_e+f#g"] {
            assert_eq!(label(text).unwrap(), text);
        }
        assert_eq!(label(&"x".repeat(32)).unwrap().len(), LABEL_MAX_BYTES);
        for text in [
            "",
            "123456789012345678901234567890123",
            "a b",
            "a/b",
            "a\"b",
            "a'b",
            "a\\b",
            "a,b",
            "a=b",
            "-a",
            "..",
            "ä",
            "a\n",
        ] {
            assert!(label(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tree_paths_are_checked_by_component() {
        assert_eq!(tree_path("/a/b").unwrap(), tree_path("a/b").unwrap());
        assert_eq!(tree_path("/").unwrap(), TreePath::default());
        let deepest = "/a".repeat(2047);
        assert_eq!(tree_path(&deepest).unwrap().0.len(), 2047);
        let longest_name = format!("/{}", "n".repeat(255));
        assert_eq!(tree_path(&longest_name).unwrap().0.len(), 1);
        for text in ["", "//", "/a/", "a//b", "/a/..", "./a", "/a\0b"] {
            assert!(tree_path(text).is_err(), "{text}");
        }
        assert!(tree_path(&"/a".repeat(2048)).is_err());
        assert!(tree_path(&format!("/{}", "n".repeat(256))).is_err());
    }

    #[test]
    fn base64_skips_white_space_only() {
        assert_eq!(base64(" AAEC\r\n\tAw== ").unwrap().expose(), [0, 1, 2, 3]);
        assert!(base64("").unwrap().is_empty());
        for text in ["AAECAw", "AAECAw=", "AAE-", "AA_C", "AAECAw===", "AB==", "ä"] {
            assert!(base64(text).is_err(), "{text}");
        }
    }

    #[test]
    fn xattr_names_have_a_prefix_that_linux_knows() {
        for text in
            ["user.a", "trusted.overlay.opaque", "security.selinux", "system.posix_acl_access"]
        {
            assert_eq!(&*xattr_name(text).unwrap(), text.as_bytes());
        }
        let longest = format!("user.{}", "n".repeat(250));
        assert_eq!(xattr_name(&longest).unwrap().len(), NAME_MAX_BYTES);
        for text in ["", "user.", "user", "system.nfs4_acl", "system.posix_acl_access2", "User.a"] {
            assert!(xattr_name(text).is_err(), "{text}");
        }
        assert!(xattr_name(&format!("{longest}n")).is_err());
    }
}
