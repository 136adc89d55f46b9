//! What `mount` means: where and how the guest mounts the disk.

use super::error::Fault;
use super::resolved::MountPoint;
use super::{resolve, schema, values};
use crate::report::Problems;

/// Flags of every mount: nothing on the disk is a program or a device.
pub(super) const FLAGS: &str = "ro,nosuid,nodev,noexec";
/// Options that undo these flags or give the mount to users (mount(8)), or mount something else.
const REFUSED: [&str; 12] = [
    "rw", "suid", "dev", "exec", "defaults", "user", "users", "owner", "group", "remount", "bind",
    "rbind",
];
/// Longest options: all of a mount have to fit a page of the kernel, with some to spare.
const MAX_BYTES: usize = 1024;

pub(super) fn resolve(typed: &schema::Mount, problems: &mut Problems) -> Option<MountPoint> {
    let point = resolve::optional(Some(&typed.path), values::mount_point, problems);
    let is_given = typed.options.is_some();
    let options = resolve::optional(typed.options.as_ref(), options, problems);
    // What is faulty was noted.
    if is_given && options.is_none() {
        return None;
    }
    Some(MountPoint { options: options.unwrap_or_default(), ..point? })
}

/// Options of mount(8) that go behind the flags, which may be repeated in them. A value that
/// holds a comma stands in double quotes, which fstab(5), units and mount(8) leave as they are.
fn options(text: &str) -> Result<Vec<String>, Fault> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if text.is_empty() || text.len() > MAX_BYTES || !text.bytes().all(is_plain) {
        return Err(Fault::new(format!(
            "expected options of mount(8): 1 to {MAX_BYTES} printable ASCII characters without \
             spaces and backslashes"
        )));
    }
    let mut options = Vec::new();
    for option in split(text) {
        let (name, value) = option.split_once('=').unwrap_or((option, "-"));
        let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) || inner.unwrap_or(value).contains('"') {
            let fault = Fault::new("expected options of mount(8), each NAME or NAME=VALUE");
            return Err(fault.hint("commas part them; a value with a comma is in double quotes"));
        }
        if is_category(name) {
            let fault = Fault::new("a label's category stands as an option of its own");
            return Err(
                fault.hint("a value with a comma is in double quotes: context=\"...:c1,c2\"")
            );
        }
        if REFUSED.contains(&name) {
            let fault = Fault::new(format!("an option here would undo {FLAGS}"));
            return Err(fault.hint(format!("these are refused: {}", REFUSED.join(", "))));
        }
        if !FLAGS.split(',').any(|flag| flag == option) {
            options.push(option.to_owned());
        }
    }
    Ok(options)
}

/// The parts between the commas that stand in no quotes.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    })
}

/// Whether it is a category of `SELinux`, or a range of them: `c1`, `c1.c5`.
fn is_category(name: &str) -> bool {
    name.split('.').all(|part| {
        let digits = part.strip_prefix('c');
        digits.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn options_are_those_of_mount() {
        for (text, expected) in [
            ("noatime", &["noatime"][..]),
            ("ro,nofail,nosuid,noexec", &["nofail"]),
            ("ro", &[]),
            (
                "context=system_u:object_r:etc_t:s0,x-systemd.device-timeout=5s",
                &["context=system_u:object_r:etc_t:s0", "x-systemd.device-timeout=5s"],
            ),
            (r#"context="u:r:t:s0:c1,c2",a="b""#, &[r#"context="u:r:t:s0:c1,c2""#, r#"a="b""#]),
        ] {
            assert_eq!(options(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "a,",
            ",a",
            "a b",
            "a\tb",
            "a\n",
            "a\\040b",
            "ä",
            "=x",
            "a\"b",
            "a=\"b",
            "a=b\"",
            "a=\"b\"c",
            "a=\"b\"c\"",
            "a=\"",
            "rw",
            "noatime,exec",
            "suid=1",
            "context=u:r:t:s0:c1,c2",
            "context=u:r:t:s0:c1,c2.c5",
            "a'=b",
        ] {
            assert!(options(text).is_err(), "{text}");
        }
        assert!(options(&"o".repeat(MAX_BYTES)).is_ok());
        assert!(options(&"o".repeat(MAX_BYTES + 1)).is_err());
    }
}
